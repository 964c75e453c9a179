// Package migrate lets a handler bring what it has stored from one data
// version to another: import it, and register the migration in an init
// function.
//
//	func init() { migrate.Handle(func(from, to int) error { … }) }
//
// It runs on a copy of the data before the new version of the package gets
// traffic, with the functions of package berth but for Call and Fetch. After
// an error or a panic nothing is changed. data.migrate in berth.toml says from
// which versions it can start.
package migrate
