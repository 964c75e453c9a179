package fetch

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// mayPass reports whether trying again may help. What a server or this client
// has decided stays decided; what broke on the way may hold the next time.
func mayPass(err error) bool {
	if e := (*StatusError)(nil); errors.As(err, &e) {
		switch e.Code {
		case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	if errors.As(err, new(*ForbiddenError)) {
		return false
	}
	if e := (*net.DNSError)(nil); errors.As(err, &e) {
		return e.IsTemporary || e.IsTimeout
	}
	if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
		return true
	}
	for _, passing := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.EPIPE} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110,
// section 10.2.3). It returns 0 for one that says nothing.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
