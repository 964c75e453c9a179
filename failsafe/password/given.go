package password

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/berth-host/berth/failsafe/smallfile"
)

// Variable is the environment variable by which a password may be given.
const Variable = "BERTH_ADMIN_PASSWORD"

// Given returns the password that was given from outside: the one in a file,
// when a file is named, else that of the environment variable [Variable]. A
// newline at the end does not count. Without either it returns "". The source
// says in words where it comes from, for [Owner.Use]. An error says what is
// wrong with the file or the password, never the password.
func Given(file string) (text, source string, err error) {
	if file != "" {
		source = "the file " + file
		data, err := smallfile.Follow(file, MaxLength+2)
		if errors.Is(err, smallfile.ErrOdd) {
			return "", "", fmt.Errorf("the file with the administrator's password is none: %w", err)
		}
		if err != nil {
			return "", "", fmt.Errorf("the administrator's password: %w", err)
		}
		text = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	} else if text = os.Getenv(Variable); text == "" {
		return "", "", nil
	} else {
		source = "the environment variable " + Variable
	}
	if err := Check(text); err != nil {
		return "", "", fmt.Errorf("the administrator's password in %s: %w", source, err)
	}
	return text, source, nil
}

// Hide removes the password from the environment of this process, and so of
// those that it starts. The wrapper must not call it: its children read the
// variable anew.
func Hide() { _ = os.Unsetenv(Variable) }
