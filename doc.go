// Package berth is the root of the repository: it holds the tests of the
// architecture. The program is in cmd/berth; README.md says where the rest is.
package berth
