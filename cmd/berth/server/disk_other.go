//go:build !linux && !darwin

package server

import "errors"

func diskOf(string) (free uint64, readOnly bool, err error) { return 0, false, errors.ErrUnsupported }
