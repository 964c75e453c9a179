package main

import (
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/term"

	"github.com/berth-host/berth/failsafe/password"
)

// showNewServer opens the console of a server that has no password yet in the
// browser of whoever sits before it: on a machine with a screen, from a
// terminal. It needs no code for that. What can't be opened is printed anyway.
func showNewServer(ctx context.Context, stderr io.Writer, owner *password.Owner, console string) {
	if owner.IsSet() || !isTerminal(stderr) || !hasScreen() {
		return
	}
	u, err := url.Parse(console)
	if err != nil || !isLoopback(u.Hostname()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_ = openCommand(ctx, console).Run() // the address is printed
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// hasScreen reports whether a browser could show anything here: not so over
// ssh, or on a server without a desktop.
func hasScreen() bool {
	switch runtime.GOOS {
	case "windows", "darwin":
		return os.Getenv("SSH_CONNECTION") == ""
	}
	return os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
}

func openCommand(ctx context.Context, address string) *exec.Cmd {
	switch runtime.GOOS {
	case "windows":
		return exec.CommandContext(ctx, "rundll32", "url.dll,FileProtocolHandler", address)
	case "darwin":
		return exec.CommandContext(ctx, "open", address)
	}
	return exec.CommandContext(ctx, "xdg-open", address)
}
