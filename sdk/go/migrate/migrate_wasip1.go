package migrate

import berth "github.com/berth-host/berth/sdk/go"

var migration func(from, to int) error

// Handle says what migrates data. Call it in an init function.
func Handle(f func(from, to int) error) { migration = f }

//go:wasmexport berth_migrate
func run(from, to int32) int32 {
	if migration == nil {
		berth.Log(berth.Error, "no migration was registered: call migrate.Handle in an init function")
		return 1
	}
	if err := migration(int(from), int(to)); err != nil {
		berth.Log(berth.Error, "migration: "+err.Error())
		return 1
	}
	return 0
}
