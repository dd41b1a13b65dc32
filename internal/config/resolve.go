package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// resolvePatience is how long a name server may take: who starts the program
// waits for it.
const resolvePatience = 5 * time.Second

// Resolve returns an error if the host of a HOST:PORT is a name that nobody has,
// which is a mistyped one. Where no name server answers it returns nil: one may
// later, and who connects tries again.
func Resolve(ctx context.Context, hostPort string, lookup func(context.Context, string) ([]string, error)) error {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolvePatience)
	defer cancel()
	_, err = lookup(ctx, host)
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) && dns.IsNotFound {
		return fmt.Errorf("there is no host %q: neither /etc/hosts nor the name server knows it (getent ahosts %s); give the right name, or the address", host, host)
	}
	return nil
}
