package wrapper

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A notifier tells a service manager how we are (sd_notify(3)). Without one,
// it does nothing.
type notifier struct {
	conn     *net.UnixConn
	watchdog time.Duration // how often it wants a sign of life; 0 for never
}

func newNotifier() *notifier {
	n := &notifier{}
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return n
	}
	// A leading @ stands for the abstract namespace, here as there.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return n
	}
	n.conn = conn
	pid := os.Getenv("WATCHDOG_PID")
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err == nil && usec > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.watchdog = time.Duration(usec) * time.Microsecond / 3
	}
	return n
}

// tell sends lines of state. What the manager does not get it asks for in its
// own way: by its time limits.
func (n *notifier) tell(states ...string) {
	if n.conn == nil {
		return
	}
	_ = n.conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = n.conn.Write([]byte(strings.Join(states, "\n")))
}

// status is a line of state for people.
func status(s string) string { return "STATUS=" + strings.ReplaceAll(s, "\n", " ") }

// ownVars are the variables by which a service manager speaks to this process
// alone.
var ownVars = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}

// childEnv is the environment of a child.
func childEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(ownVars, name)
	})
}
