package store

import (
	"fmt"
	"strings"
)

// The functions of this file are for backends: each checks the arguments of a
// call against the limits, so that all backends refuse the same ones.

// CheckRefName returns [ErrInvalid] or [ErrTooLarge] for names that no
// reference can have.
func CheckRefName(name string) error {
	if err := checkName("reference", name, MaxRefName); err != nil {
		return err
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("reference %q: %w: only printable ASCII", name, ErrInvalid)
	}
	return nil
}

// CheckChanges checks the arguments of SwapRefs.
func CheckChanges(changes []RefChange) error {
	if len(changes) > MaxChanges {
		return fmt.Errorf("%d changes of references at once: %w (limit %d)", len(changes), ErrTooLarge, MaxChanges)
	}
	seen := make(map[string]bool, len(changes))
	sum := 0
	for _, c := range changes {
		if err := CheckRefName(c.Name); err != nil {
			return err
		}
		if seen[c.Name] {
			return fmt.Errorf("reference %q: %w: it is changed twice at once", c.Name, ErrInvalid)
		}
		seen[c.Name] = true
		if err := checkSize("the value of reference", c.Name, len(c.Value), MaxRefValue); err != nil {
			return err
		}
		sum += len(c.Value)
	}
	if sum > MaxSwap {
		return fmt.Errorf("the values of %d references at once: %d bytes: %w (limit %d)", len(changes), sum, ErrTooLarge, MaxSwap)
	}
	return nil
}

// CheckNamespace returns [ErrInvalid] or [ErrTooLarge] for names that no
// namespace can have.
func CheckNamespace(namespace string) error {
	return checkName("namespace", namespace, MaxNamespace)
}

// CheckKey checks the place of an entry.
func CheckKey(namespace, key string) error {
	if err := CheckNamespace(namespace); err != nil {
		return err
	}
	return checkName("key", key, MaxKey)
}

// CheckEntry checks the place and the value of an entry.
func CheckEntry(namespace, key string, value []byte) error {
	if err := CheckKey(namespace, key); err != nil {
		return err
	}
	return checkSize("the value of key", key, len(value), MaxValue)
}

// PageLimit returns how many entries a List with this limit may return.
func PageLimit(limit int) int {
	if limit <= 0 || limit > MaxPage {
		return MaxPage
	}
	return limit
}

func checkName(kind, name string, limit int) error {
	if name == "" {
		return fmt.Errorf("%s: %w: it is empty", kind, ErrInvalid)
	}
	return checkSize("the name of "+kind, name, len(name), limit)
}

func checkSize(kind, name string, size, limit int) error {
	if size > limit {
		return fmt.Errorf("%s %.64q: %d bytes: %w (limit %d)", kind, name, size, ErrTooLarge, limit)
	}
	return nil
}
