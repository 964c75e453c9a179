package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

func setupCertificates(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	automatic := f.Bool("automatic", false, "get certificates by itself; --automatic=false stops that")
	authority := f.String("authority", "", "`URL` of the authority's directory (default Let's Encrypt)")
	email := f.String("email", "", "`address` at which the authority reaches you")
	redirect := f.Bool("redirect", false, "lead visitors from http to https, once there is a certificate")
	hsts := f.Int("hsts-days", 0, "tell browsers to come by https only for so many `days`; 0: don't")
	port := f.Int("https-port", 443, "`port` at which visitors reach https")
	consoleHost := f.String("console-host", "", "host `name` under which the console answers by https, not one of the site")
	return func(ctx context.Context, args []string) error {
		cl, err := c.client()
		if err != nil {
			return err
		}
		switch {
		case len(args) == 3 && args[0] == "own":
			return c.bringCertificate(ctx, cl, args[1], args[2])
		case len(args) == 2 && args[0] == "remove":
			if err := cl.Call(ctx, http.MethodDelete, "/certificates/own/"+url.PathEscape(args[1]), nil, nil, nil); err != nil {
				return err
			}
			return c.done("removed", args[1])
		case len(args) == 1 && args[0] == "retry":
			var answer api.Certificates
			if err := cl.Call(ctx, http.MethodPost, "/certificates/retry", nil, nil, &answer); err != nil {
				return err
			}
			return c.printCertificates(answer)
		case len(args) > 0:
			return &usageError{message: "expected nothing, retry, own CERTIFICATE KEY or remove ID"}
		}
		var change api.CertificatesChange
		changed := false
		note := func(name string, apply func()) {
			if given(f, name) {
				changed = true
				apply()
			}
		}
		note("automatic", func() { change.Automatic = automatic })
		note("authority", func() { change.Authority = authority })
		note("email", func() { change.Email = email })
		note("redirect", func() { change.Redirect = redirect })
		note("hsts-days", func() { change.HSTSDays = hsts })
		note("https-port", func() { change.Port = port })
		note("console-host", func() { change.ConsoleHost = consoleHost })
		var answer api.Certificates
		if changed {
			err = cl.Call(ctx, http.MethodPatch, "/certificates", nil, change, &answer)
		} else {
			err = cl.Call(ctx, http.MethodGet, "/certificates", nil, nil, &answer)
		}
		if err != nil {
			return err
		}
		return c.printCertificates(answer)
	}
}

func (c *cli) bringCertificate(ctx context.Context, cl *client.Client, certificate, key string) error {
	cert, err := os.ReadFile(certificate)
	if err != nil {
		return err
	}
	private, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	var own api.OwnCertificate
	if err := cl.Call(ctx, http.MethodPost, "/certificates/own", nil, api.OwnCertificateRequest{Certificate: string(cert), Key: string(private)}, &own); err != nil {
		return err
	}
	return c.print(own, func(w io.Writer) {
		fmt.Fprintf(w, "%s is used for %v until %s\n", own.ID, own.Names, own.Expires.Local().Format(time.DateOnly))
	})
}

func (c *cli) printCertificates(a api.Certificates) error {
	return c.print(a, func(w io.Writer) {
		onOff := map[bool]string{true: "on", false: "off"}
		fmt.Fprintf(w, "automatic     %s, from %s\n", onOff[a.Automatic], a.Authority)
		fmt.Fprintf(w, "listening     %s\n", cmp.Or(a.Problem, a.Address, "not until there are certificates"))
		fmt.Fprintf(w, "redirect      %s\n", onOff[a.Redirect])
		fmt.Fprintf(w, "https only    for %d days\n", a.HSTSDays)
		fmt.Fprintf(w, "console host  %s\n", cmp.Or(a.ConsoleHost, "none"))
		for _, n := range a.Names {
			fmt.Fprintf(w, "%s (%s): %s\n", n.Name, n.Use, certificateState(n))
			if n.Problem != "" {
				fmt.Fprintf(w, "    %s\n    %s\n", n.Problem, n.Hint)
			}
		}
		for _, o := range a.Own {
			fmt.Fprintf(w, "own %s: %v, until %s\n", o.ID, o.Names, o.Expires.Local().Format(time.DateOnly))
		}
	})
}

func certificateState(n api.CertificateName) string {
	switch {
	case n.Valid:
		return n.Source + ", until " + n.Expires.Local().Format(time.DateOnly)
	case n.Trying:
		return "being got"
	case n.Problem != "":
		return "could not be got"
	}
	return "no certificate"
}
