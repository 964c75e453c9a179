// Package faults holds tests that break a server in every way that is known,
// at every step of its start, and prove that its owner always gets a page that
// says what broke and a way back. The test binary is the program: it is
// wrapper, child, and the compiler of modules. Linux alone can do all that to
// a process.
package faults
