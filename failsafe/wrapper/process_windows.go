package wrapper

import "os"

func newStarter() starter { return plainStarter{} }

// ownGroup does nothing: Ctrl-C reaches the child as well, which ends as it is
// told anyway.
func ownGroup(*os.ProcAttr) {}

// endGroup does nothing: there are no process groups.
func endGroup(int) {}

// hangup returns a channel that gets nothing: there is no SIGHUP.
func hangup() (<-chan os.Signal, func()) { return nil, func() {} }

func exitOf(state *os.ProcessState) exit { return exit{code: state.ExitCode()} }
