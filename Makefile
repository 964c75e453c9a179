# What builds and proves berth. CI runs `make check`; the README's second
# command runs `make test` by its plain name, go test ./...

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: check test race lint vuln bench bench-compare guests fuzz

check: lint test race

test:
	go test ./...

# Everything that shares state, under the race detector.
race:
	go test -race -short ./abi/... ./failsafe/... ./host/... ./registry/...
	go test -race -short -run 'Load|Migration|Plan|Jobs|Watch' ./cmd/berth/server

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

# Needs the vulnerability database on the network.
vuln:
	go run $(GOVULNCHECK) ./...

# Rows side by side with plain net/http; needs wrk. About five minutes.
bench:
	go run ./bench

# What changed between two runs: make bench-compare OLD=bench.json NEW=other.json
bench-compare:
	@go run ./bench compare $(OLD) $(NEW)

# Rebuild the checked-in guests; needs clang-19 with wasi-libc, and Go.
guests:
	$(MAKE) -C modules
