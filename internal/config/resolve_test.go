package config

import (
	"context"
	"net"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	lookup := func(_ context.Context, host string) ([]string, error) {
		switch host {
		case "blackhole":
			return []string{"10.0.0.7"}, nil
		case "mistyped":
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
		case "slow":
			return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
		}
		t.Errorf("%s is looked up", host)
		return nil, nil
	}
	for addr, want := range map[string]string{
		"10.0.0.7:36524": "", "[2001:db8::7]:36524": "", "blackhole:36524": "", "slow:36524": "",
		"mistyped:36524": `there is no host "mistyped"`,
	} {
		if err := Resolve(t.Context(), addr, lookup); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", addr, err, want)
		}
	}
}
