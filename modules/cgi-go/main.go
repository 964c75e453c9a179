//go:build wasip1

// Command hello is a plain program: it reads environment and standard input,
// and prints an answer.
package main

import (
	"io"
	"os"
)

func main() {
	answer := "Content-Type: text/plain\n\nhello " + os.Getenv("PATH_INFO") + "\n"
	if _, err := io.WriteString(os.Stdout, answer); err != nil {
		os.Exit(1)
	}
	if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
		os.Exit(1)
	}
}
