package service

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/protocol"
	failsafe "github.com/berth-host/berth/failsafe/server"
	"github.com/berth-host/berth/host/console/client"
)

// serveFailsafe runs the failsafe pages.
func serveFailsafe(ctx context.Context, c Config, child *protocol.Child, owner *password.Owner) int {
	// Of a server that crashed: its token opens nothing here.
	_ = os.Remove(filepath.Join(c.Data, client.AccessFile))
	config := failsafe.Config{
		Data: c.Data, Startup: c.Startup, Version: c.Version, Password: owner, Key: child.Start().Key,
		Helper: func(ctx context.Context, args ...string) *exec.Cmd {
			return exec.CommandContext(ctx, executable(), append([]string{helper.Verb, "--data=" + c.Data}, args...)...)
		},
		HTTPS: child.Listener(protocol.HTTPS), DropHTTPS: func() { child.WantHTTPS(false) },
		Terminal: c.Stderr, Log: slog.New(slog.NewTextHandler(c.Stderr, nil)),
	}
	if config.Startup == "" {
		config.Startup = filepath.Join(c.Data, server.StartupFile)
	}
	if c.Port >= 0 {
		config.PortFlag = fmt.Sprintf("--port %d", c.Port)
	}
	return failsafe.Run(ctx, child, config)
}

// executable is the program that runs.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}
