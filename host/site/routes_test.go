package site

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func routesOf(list ...string) routes {
	var t routes
	for _, route := range list {
		t = t.with(mountOf(route))
	}
	return t
}

func mountOf(route string) *mount {
	i := strings.IndexByte(route, '/')
	return &mount{Mount: Mount{ID: route, Host: route[:i], Path: route[i:]}}
}

func foundIn(t routes, host, path string) string {
	if m := t.find(host, path); m != nil {
		return m.ID
	}
	return ""
}

func TestRoutes(t *testing.T) {
	table := routesOf("/", "/news", "/news/old", "/ne", "shop.example/", "shop.example/cart", "only.example/a", "a.b/x/y")
	for _, test := range []struct{ host, path, want string }{
		{"", "/", "/"},
		{"", "/n", "/"},
		{"", "/ne", "/ne"},
		{"", "/new", "/"},
		{"", "/news", "/news"},
		{"", "/news/", "/news"},
		{"", "/newspaper", "/"},
		{"", "/news/old", "/news/old"},
		{"", "/news/older", "/news"},
		{"", "/news/old/x/y", "/news/old"},
		{"shop.example", "/", "shop.example/"},
		{"shop.example", "/news", "shop.example/"},
		{"shop.example", "/cart/1", "shop.example/cart"},
		{"shop.example.evil", "/", "/"},
		{"shop", "/", "/"},
		{"only.example", "/a/b", "only.example/a"},
		{"only.example", "/news/x", "/news"},
		{"a.b", "/x", "/"},
		{"a.b", "/x/y", "a.b/x/y"},
	} {
		if got := foundIn(table, test.host, test.path); got != test.want {
			t.Errorf("%s%s: %q, want %q", test.host, test.path, got, test.want)
		}
	}
	if got := foundIn(routesOf("/a"), "", "/"); got != "" {
		t.Errorf("found %q", got)
	}
	if got := foundIn(routes{}, "x", "/"); got != "" {
		t.Errorf("found %q in nothing", got)
	}
}

// plainFind is what find means, written plainly.
func plainFind(list map[string]bool, host, path string) string {
	for _, h := range []string{host, ""} {
		for p := path; ; {
			if list[h+p] {
				return h + p
			}
			i := strings.LastIndexByte(p, '/')
			if i < 0 {
				break
			}
			if p = p[:i]; p == "" {
				if list[h+"/"] {
					return h + "/"
				}
				break
			}
		}
	}
	return ""
}

// Whatever is put and removed in whatever order, the tree finds what it should,
// and older copies stay as they were.
func TestRoutesAgainstAPlainSearch(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	route := func() (host, path string) {
		host = []string{"", "", "a", "a.b", "ab"}[random.IntN(5)]
		for range random.IntN(4) {
			path += "/" + []string{"a", "b", "ab", "abc", "a.b", "é"}[random.IntN(6)]
		}
		if path == "" {
			path = "/"
		}
		return host, path
	}
	var table routes
	list := map[string]bool{}
	var olds []routes
	var oldFound []string
	for step := range 5000 {
		host, path := route()
		if list[host+path] {
			table = table.without(mountOf(host + path))
			delete(list, host+path)
		} else {
			table = table.with(mountOf(host + path))
			list[host+path] = true
		}
		askHost, askPath := route()
		if got, want := foundIn(table, askHost, askPath), plainFind(list, askHost, askPath); got != want {
			t.Fatalf("step %d: %s%s: %q, want %q", step, askHost, askPath, got, want)
		}
		if step%500 == 0 {
			olds, oldFound = append(olds, table), append(oldFound, foundIn(table, "a", "/a/b/ab"))
		}
	}
	for i, old := range olds {
		if got := foundIn(old, "a", "/a/b/ab"); got != oldFound[i] {
			t.Errorf("an old copy has changed: %q, once %q", got, oldFound[i])
		}
	}
	count := 0
	for m := range table.all {
		if !list[m.ID] {
			t.Errorf("holds %q", m.ID)
		}
		count++
	}
	if count != len(list) {
		t.Errorf("holds %d of %d", count, len(list))
	}
	for route := range list {
		table = table.without(mountOf(route))
	}
	if table.root != nil {
		t.Error("an empty tree has nodes left")
	}
}

func FuzzRoutes(f *testing.F) {
	f.Add("a/x a/x/y /x", "a", "/x/y/z")
	f.Add("/ /news shop.example/", "shop.example", "/news")
	f.Fuzz(func(t *testing.T, text, host, path string) {
		var table routes
		list := map[string]bool{}
		for _, route := range strings.Fields(text) {
			m := Mount{ID: "x"}
			var found bool
			if m.Host, m.Path, found = strings.Cut(route, "/"); !found {
				continue
			}
			m.Path = "/" + m.Path
			if checkMount(&m) == nil {
				table = table.with(mountOf(route))
				list[route] = true
			}
		}
		if !strings.HasPrefix(path, "/") || strings.Contains(host, "/") || strings.Contains(path, "//") || len(path) > 1 && strings.HasSuffix(path, "/") {
			return
		}
		if got, want := foundIn(table, host, path), plainFind(list, host, path); got != want {
			t.Errorf("%q: %s%s: %q, want %q", text, host, path, got, want)
		}
	})
}

// One change costs the same among 10 mounts and among 10,000.
func TestOneChangeAmongMany(t *testing.T) {
	took := map[int]time.Duration{}
	for _, n := range []int{10, 1000, 10_000} {
		s := newSite(t, Options{})
		apply(t, s, Change{Lazy: true, Put: manyMounts(t, n)})
		m := mountAt("/m00005", deploy(guest(t, "changed")))
		var times []time.Duration
		for range 101 {
			start := time.Now()
			apply(t, s, Change{Lazy: true, Put: []Mount{m}})
			times = append(times, time.Since(start))
		}
		slices.Sort(times)
		took[n] = times[len(times)/2]
		t.Logf("%6d mounts: %v", n, took[n])
	}
	// Flat within a factor of 2 is the goal; a copy of all would be 100 times
	// as much.
	if took[10_000] > 10*took[10]+100*time.Microsecond {
		t.Errorf("one change among 10,000 mounts takes %v, among 10 %v", took[10_000], took[10])
	}
}

func manyMounts(t testing.TB, n int) []Mount {
	d := deploy(guest(t, "many"))
	mounts := make([]Mount, n)
	for i := range mounts {
		mounts[i] = mountAt(fmt.Sprintf("/m%05d", i), d)
	}
	return mounts
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		var table routes
		for _, m := range manyMounts(b, n) {
			table = table.with(&mount{Mount: m})
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.find("www.site.example", "/m00005/some/page.html")
			}
		})
	}
}
