package main

import (
	"net/netip"
	"regexp"
	"slices"
	"time"

	"mrtecopy/internal/config"
	"mrtecopy/internal/policy"
	"mrtecopy/internal/rawsend"
	"mrtecopy/internal/replay"
	"mrtecopy/internal/session"
)

const interceptPort = "36524"

// settings checks the flags and translates them. It opens nothing; local are
// this host's addresses.
func settings(v *config.Values, local []netip.Addr) (c replay.Config, err error) {
	if c.Interfaces, err = v.Interfaces("interface"); err != nil {
		return c, err
	}
	if c.Port, err = v.Port("port"); err != nil {
		return c, err
	}
	if c.ServerIPs, err = serverIPs(v, local); err != nil {
		return c, err
	}
	if c.Target, err = target(v, local, c.ServerIPs); err != nil {
		return c, err
	}
	if c.Intercepts, err = intercepts(v); err != nil {
		return c, err
	}
	if err := secrets(v); err != nil {
		return c, err
	}
	if c.Policy, err = rules(v); err != nil {
		return c, err
	}
	for _, name := range v.Strings("users") {
		if slices.Contains(v.Strings("exclude-users"), name) {
			return c, v.Errorf("exclude-users", "%q is named by --users as well", name)
		}
	}
	c.Filter = session.Filter{Users: set(v.Strings("users")), ExcludeUsers: set(v.Strings("exclude-users")), Schemas: set(v.Strings("schemas"))}
	if err := adoption(v, &c); err != nil {
		return c, err
	}
	c.CleartextPassword = v.Bool("allow-cleartext-password")
	if c.Duration, err = v.Duration("duration"); err != nil {
		return c, err
	}
	if c.Drain, err = v.Duration("drain"); err != nil {
		return c, err
	}
	if c.ResponseTimeout, err = v.Duration("response-timeout"); err != nil {
		return c, err
	}
	if c.StatusEvery, err = v.Duration("status-every"); err != nil {
		return c, err
	}
	const shortest, longest = time.Millisecond, 10 * time.Millisecond
	if c.Batch, err = v.Duration("batch"); err != nil {
		return c, err
	}
	if c.Batch < shortest || c.Batch > longest {
		return c, v.Errorf("batch", "%v is not between %v and %v", c.Batch, shortest, longest)
	}
	switch how := v.String("send"); how {
	case "ip":
		c.Send = rawsend.IP
	case "link":
		c.Send = rawsend.Link
	default:
		return c, v.Errorf("send", "%q is neither ip nor link", how)
	}
	if c.Shards, err = v.Int("shards", 1, 64); err != nil {
		return c, err
	}
	streamAbove, err := v.Size("stream-above", 1<<10, 1<<30)
	if err != nil {
		return c, err
	}
	c.StreamAbove = int(streamAbove)
	ring, err := v.Size("ring", 2<<20, 4<<30)
	if err != nil {
		return c, err
	}
	c.Ring = int(ring)
	if c.MaxMemory, err = v.Size("max-memory", 16<<20, 1<<40); err != nil {
		return c, err
	}
	if c.MaxMemory < 4*streamAbove {
		return c, v.Errorf("max-memory", "%s is too little for commands of up to %s: give at least four times --stream-above",
			config.FormatSize(c.MaxMemory), config.FormatSize(streamAbove))
	}
	if v.String("max-session-memory") != "" {
		if c.SessionMemory, err = v.Size("max-session-memory", 8<<20, 1<<40); err != nil {
			return c, err
		}
		if c.SessionMemory < 4*streamAbove {
			return c, v.Errorf("max-session-memory", "%s is too little for commands of up to %s: give at least four times --stream-above",
				config.FormatSize(c.SessionMemory), config.FormatSize(streamAbove))
		}
	}
	if c.MaxSessions, err = v.Int("max-sessions", 1, 1<<18); err != nil {
		return c, err
	}
	if c.MaxConnects, err = v.Int("max-connects", 1, 1_000_000); err != nil {
		return c, err
	}
	return c, nil
}

// rules are what may be replayed, by the statements' SQL.
func rules(v *config.Values) (c policy.Config, err error) {
	if c.Table, err = table(v); err != nil {
		return c, err
	}
	switch only := v.String("only"); only {
	case "":
	case "read":
		c.OnlyRead = true
	default:
		return c, v.Errorf("only", "%q: there is one value, read", only)
	}
	for _, text := range v.Texts("exclude") {
		re, err := regexp.Compile(text)
		if err != nil {
			return c, v.Errorf("exclude", "%v; see https://golang.org/s/re2syntax", err)
		}
		c.Exclude = append(c.Exclude, re)
	}
	return c, nil
}

// set makes a set of names; nil of none.
func set(names []string) map[string]bool {
	if len(names) == 0 {
		return nil
	}
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

func serverIPs(v *config.Values, local []netip.Addr) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, s := range config.Unique(v.Strings("server-ip")) {
		a, err := config.ParseAddr(s)
		if err != nil {
			return nil, v.Errorf("server-ip", "%v", err)
		}
		if !isLocal(a, local) && len(v.Strings("interface")) == 0 {
			return nil, v.Errorf("server-ip", "%v is not an address of this host, so its packets must come from a mirror port: name the interface they arrive at with --interface", a)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

func target(v *config.Values, local, servers []netip.Addr) (netip.AddrPort, error) {
	s := v.String("target")
	if s == "" {
		return netip.AddrPort{}, v.Missing("target", "name the server to replay onto, such as --target 10.0.0.9:3306")
	}
	t, err := config.ParseAddrPort(s)
	switch {
	case err != nil:
		return t, v.Errorf("target", "%v", err)
	case slices.Contains(servers, t.Addr()):
		return t, v.Errorf("target", "%v is the production server, by --server-ip; name the other one", t.Addr())
	case isLocal(t.Addr(), local):
		return t, v.Errorf("target", "%v is an address of this host, which is never replayed onto; name a server on another host", t.Addr())
	}
	return t, nil
}

func intercepts(v *config.Values) ([]string, error) {
	given := v.Strings("intercept")
	if len(given) == 0 {
		return nil, v.Missing("intercept", "name the host on which intercept runs, such as --intercept 10.0.0.7")
	}
	var hosts []string
	for _, s := range given {
		h, err := config.ParseHostPort(s, interceptPort)
		if err != nil {
			return nil, v.Errorf("intercept", "%v", err)
		}
		hosts = append(hosts, h)
	}
	return config.Unique(hosts), nil
}

// secrets checks that the files with secrets are named. They are read later.
func secrets(v *config.Values) error {
	if v.String("credentials") == "" {
		return v.Missing("credentials", "name a file, mode 600, with lines USER:PASSWORD for the target; the line %s logs in every user as account replay", config.CredentialsExample)
	}
	return config.KeyOrInsecure(v)
}

func isLocal(a netip.Addr, local []netip.Addr) bool {
	return a.IsLoopback() || slices.Contains(local, a)
}
