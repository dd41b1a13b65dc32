package lab

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

//go:embed watch.nft
var watchRules string

// watch puts the counters of watch.nft in place. nftables counts in the kernel,
// on the way of every packet, so no counter can miss one as a socket could.
func (l *Lab) watch(ctx context.Context) error {
	fill := []string{}
	for _, h := range l.hosts {
		name := strings.ToUpper(h.Name)
		fill = append(fill, name+"_MAC", h.MAC, name+"_4", h.V4.String(), name+"_6", h.V6.String())
	}
	rules := strings.NewReplacer(fill...)
	for _, section := range strings.Split(watchRules, "#--- ")[1:] {
		host, table, _ := strings.Cut(section, "\n")

		if _, err := run(ctx, "ip", "netns", "exec", l.prefix+"-"+host, "nft", rules.Replace(table)); err != nil {
			return fmt.Errorf("watch %s: %w", host, err)
		}
	}
	return nil
}

// Seen is what the watches have counted since the lab was raised.
type Seen struct {
	Strays   map[string]int64  // packets that must not be, by the place they were seen: client, production, switch
	Flows    map[string]string // the same places' stray flows, for the eye
	Resets   int64             // RST that reached the client or production's port
	Replayed int64             // packets that production sent to the target's port
	Errors   int64             // ERR packets by which production answered a command
}

// Seen reads the watches.
func (l *Lab) Seen(ctx context.Context) (Seen, error) {
	s := Seen{Strays: map[string]int64{}, Flows: map[string]string{}}
	for _, host := range []string{"client", "production", "switch"} {
		out, err := run(ctx, "ip", "netns", "exec", l.prefix+"-"+host, "nft", "-j", "list", "counters")
		if err != nil {
			return s, err
		}
		var list struct {
			Nftables []struct {
				Counter *struct {
					Name    string
					Packets int64
				}
			}
		}
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			return s, fmt.Errorf("counters of %s: %w", host, err)
		}
		for _, item := range list.Nftables {
			switch c := item.Counter; {
			case c == nil:
			case c.Name == "stray":
				s.Strays[host] = c.Packets
			case c.Name == "resets":
				s.Resets += c.Packets
			case c.Name == "replayed":
				s.Replayed = c.Packets
			case c.Name == "errors":
				s.Errors = c.Packets
			}
		}
		if s.Strays[host] == 0 {
			continue
		}
		for _, set := range []string{"strays", "strays6"} {
			out, err := run(ctx, "ip", "netns", "exec", l.prefix+"-"+host, "nft", "list", "set", "netdev", "watch", set)
			if err != nil {
				return s, err
			}
			if _, elements, ok := strings.Cut(out, "elements = "); ok {
				s.Flows[host] += elements
			}
		}
	}
	return s, nil
}

// Since is what was counted between an earlier look and this one.
func (s Seen) Since(earlier Seen) Seen {
	d := Seen{Strays: map[string]int64{}, Flows: s.Flows,
		Resets: s.Resets - earlier.Resets, Replayed: s.Replayed - earlier.Replayed,
		Errors: s.Errors - earlier.Errors}
	for host, n := range s.Strays {
		if n -= earlier.Strays[host]; n != 0 {
			d.Strays[host] = n
		}
	}
	return d
}
