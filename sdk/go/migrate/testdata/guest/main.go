//go:build wasip1

// Command guest migrates texts to upper case.
package main

import (
	"errors"
	"fmt"
	"strings"

	berth "github.com/berth-host/berth/sdk/go"
	"github.com/berth-host/berth/sdk/go/migrate"
)

func init() {
	berth.Handle(func(w *berth.Response, r *berth.Request) {})
	migrate.Handle(upper)
}

func main() {}

func upper(from, to int) error {
	if from != 1 || to != 2 {
		return fmt.Errorf("from %d to %d is not known", from, to)
	}
	if _, err := berth.Call("other", berth.Outgoing{Target: "/"}); !errors.Is(err, berth.ErrNotFound) {
		return fmt.Errorf("a call gives %v", err)
	}
	after := ""
	for {
		page, err := berth.List("", after)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			if _, err := berth.Put(e.Key, []byte(strings.ToUpper(string(e.Value))), e.Revision); err != nil {
				return err
			}
			after = e.Key
		}
	}
}
