//go:build bench

package bench

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// A lightLoad is one line of the table.
type lightLoad struct {
	what        string
	rate        int // commands a second; 0: as many as can be
	connections int
	shards      int // 0: nothing is replayed
	send        string
	batch       string // "": the default
}

// size is how large the insert is.
const size = 64 << 10

// seconds for which each line is loaded.
const lightFor = 4 * time.Second

func lightLoads() (all []lightLoad) {
	rates := []int{5_000, 10_000, 20_000, 40_000, 0}
	for _, rate := range rates {
		all = append(all, lightLoad{what: "select", rate: rate, connections: 64})
	}
	for _, connections := range []int{1, 8, 64, 512} {
		for _, rate := range rates {
			all = append(all, lightLoad{"select", rate, connections, 1, "ip", ""})
		}
	}
	for _, rate := range rates {
		all = append(all, lightLoad{"select", rate, 64, 1, "link", ""}, lightLoad{"select", rate, 64, 2, "ip", ""})
	}
	for _, batch := range []string{"1ms", "10ms"} {
		all = append(all, lightLoad{"select", 5_000, 64, 1, "ip", batch}, lightLoad{"select", 20_000, 64, 1, "ip", batch})
	}
	return append(all, lightLoad{"execute", 20_000, 64, 1, "ip", ""}, lightLoad{"insert", 500, 8, 1, "ip", ""}, lightLoad{"insert", 1000, 8, 1, "ip", ""})
}

func (o *lightLoad) name() string {
	rate := "flat out"
	if o.rate > 0 {
		rate = strings.ReplaceAll(fmt.Sprintf("%d/s", o.rate), "000/s", "k/s")
	}
	how := "no replay"
	if o.shards > 0 {
		how = o.how()
	}
	return fmt.Sprintf("%s %s, %d connections, %s", o.what, rate, o.connections, how)
}

// how is how the line's load is replayed.
func (o *lightLoad) how() string {
	how := fmt.Sprintf("%d, %s", o.shards, o.send)
	if o.batch != "" {
		how += ", " + o.batch
	}
	return how
}

// TestLight measures both programs between light servers: capturing, sending, and
// what comes back.
func TestLight(t *testing.T) {
	l := labtest.Own(t, lab.Options{Bare: true})
	servers := lightServers(t, l)
	all := lightLoads()
	d := &table{name: "light", lines: len(all), titles: []string{"load", "connections", "shards, send, batch", "commands/s", "mrtecopy µs", "intercept µs",
		"client, server µs", "production p50, p99 µs", "lag p50, p99 ms", "behind", "packets in, out per command", "memory", "captured, answered", "drops"}}
	for _, o := range all {
		t.Run(o.name(), func(t *testing.T) { o.measure(t, l, servers, d) })
	}
	d.write(t, "make bench-lab RUN=Light")
}

// measure is one line.
func (o *lightLoad) measure(t *testing.T, l *lab.Lab, servers *pair, d *table) {
	servers.t = t
	servers.mark()
	var m *meter
	see := func() {}
	if o.shards > 0 {
		production := *l.Production
		if o.shards > 1 {
			production.Spread()
		}
		m = replaying(t, l, lab.Run{Production: &production, Mrtecopy: []string{"--shards", fmt.Sprint(o.shards), "--send", o.send, "--batch", cmp.Or(o.batch, "4ms"), "--drain", "10s"}})
		see = func() { m.usage() }
	}
	wait := loading(t, l, "-for", lightFor.String(), "-rate", fmt.Sprint(o.rate), "-threads", fmt.Sprint(o.connections), "-what", o.what, "-size", fmt.Sprint(size), "paced")
	servers.until("the load begins", func(production, _ lab.LightCounts) bool { return production.Commands > uint64(o.connections) })
	if m != nil {
		m.begin()
	}
	server, err := servers.production.Usage()
	must(t, err)
	did := wait(see)
	after, err := servers.production.Usage()
	must(t, err)
	n := float64(did.Commands)
	row := []any{o.load(), o.connections, "none", fmt.Sprintf("%.0f", did.rate()), "–", "–",
		fmt.Sprintf("%.1f, %.1f", did.CPU*1e6/n, float64((after.CPU()-server.CPU()).Microseconds())/n),
		fmt.Sprintf("%.0f, %.0f", did.Latency[0], did.Latency[2]), "–", "–", "–", "–", "–", "–"}
	if m != nil {
		behind := seconds(servers.caughtUp(did.Ended, see))
		m.end()
		a := m.stop()
		packets := fmt.Sprintf("%.2f, %.2f", float64(a.Capture.Frames)/n, float64(a.Send.Segments)/n)
		copy(row[2:], []any{o.how(), row[3], m.perCommand(0, did.Commands), m.perCommand(1, did.Commands),
			row[6], row[7], a.lag(), behind, packets, m.memory(), a.answered(), a.drops()})
	}
	d.add(t, row...)
}

// load is what the line's first column says.
func (o *lightLoad) load() string {
	what := o.what
	if what == "insert" {
		what += fmt.Sprintf(" of %d KiB", size>>10)
	}
	return what + ", " + cmp.Or(strings.TrimPrefix(fmt.Sprintf("%d/s", o.rate), "0/s"), "flat out")
}
