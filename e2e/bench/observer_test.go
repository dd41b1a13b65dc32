//go:build bench

package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
	"mrtecopy/internal/observer"
	"mrtecopy/internal/wire"
)

// TestObserver measures what production suffers by being asked.
func TestObserver(t *testing.T) {
	servers := []string{"mysql-9.7", "mariadb-10.11"}
	crowds := []int{50, 500}
	d := &table{name: "observer", lines: len(servers) * len(crowds), titles: []string{"production", "open connections", "a look takes p50, longest ms", "its CPU ms",
		"p95, p99 ms without looks", "with a look a second", "looks"}}
	for _, version := range servers {
		for _, n := range crowds {
			t.Run(fmt.Sprintf("%s, %d", version, n), func(t *testing.T) { measureLooks(t, version, n, d) })
		}
	}
	d.write(t, "make bench-lab RUN=Observer")
}

func measureLooks(t *testing.T, version string, n int, d *table) {
	var flags []string
	for _, f := range lab.SmallServer {
		if !strings.HasPrefix(f, "--performance-schema=") {
			flags = append(flags, f)
		}
	}
	l := labtest.Own(t, lab.Options{Production: lab.Server{Version: version, Flags: append(flags, "--performance-schema=ON", "--max-connections=1000")}, Target: lab.Server{Version: version}, Unwatched: true})
	must(t, l.FillBench(t.Context()))
	must(t, l.ProductionServer.Exec(t.Context(), "CREATE DATABASE other", "CREATE TABLE app.pool (thread INT, round INT, n BIGINT, word VARCHAR(100), at DATETIME, bytes VARBINARY(20), state VARCHAR(400), PRIMARY KEY (thread, round))"))
	until := filepath.Join(t.TempDir(), "until")
	ctx, disperse := context.WithCancel(t.Context())
	crowd := l.Client.Command(ctx, "loadclient", "-addr", l.Production.V4.String()+":3306", "-threads", fmt.Sprint(n), "-n", "1", "-until", until, "pool")
	said := &strings.Builder{}
	crowd.Stderr = said
	must(t, crowd.Start())
	defer func() { disperse(); _ = crowd.Wait() }()
	clients := func() (all []wire.Endpoint) {
		text, err := l.ProductionServer.Text(t.Context(), "SELECT COALESCE(GROUP_CONCAT(HOST), '') FROM information_schema.PROCESSLIST WHERE USER = '"+lab.AppUser+"'")
		must(t, err)
		for host := range strings.SplitSeq(text, ",") {
			if at, err := netip.ParseAddrPort(host); err == nil {
				all = append(all, wire.EndpointFrom(at))
			}
		}
		return all
	}
	must(t, l.ProductionServer.Exec(t.Context(), "SET SESSION group_concat_max_len = 1048576"))
	for deadline := time.Now().Add(time.Minute); len(clients()) < n; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d connections are open: %s", len(clients()), n, said)
		}
	}
	time.Sleep(2 * time.Second) // what warming up has left to do

	const cpuFor = 10 * time.Second
	load := func() (p95, p99 string) {
		for i, p := range []*string{&p95, &p99} {
			percentile := []string{"95", "99"}[i]
			out, err := l.Client.Run(t.Context(), "sysbench", lab.BenchArgs("oltp_point_select", l.Production.V4.String(), 2, benchFor, "--rate=500", "--percentile="+percentile)...)
			must(t, err)
			*p = number(t, out, percentile+`th percentile: +(\S+)`)
		}
		return p95, p99
	}
	cpu := func() time.Duration {
		before, err := l.ProductionServer.Usage(t.Context())
		must(t, err)
		time.Sleep(cpuFor)
		after, err := l.ProductionServer.Usage(t.Context())
		must(t, err)
		return after.CPU() - before.CPU()
	}
	idle := cpu()
	p95, p99 := load()

	cfg, err := observer.ParseDSN("root@unix(" + l.ProductionServer.Socket() + ")/")
	must(t, err)
	cfg.InterpolateParams = true
	o := observer.New(cfg, 32<<20, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	all := clients()
	var took []time.Duration
	looking, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Run(looking, func(look *observer.Look) {
			took = append(took, look.Ended.Sub(look.Began))
			for _, c := range all[:min(100, len(all))] {
				o.Ask(c) // the next look has as many
			}
		})
	}()
	began := time.Now()
	time.Sleep(time.Duration(n/100+1) * time.Second) // until all were looked at once
	busy := cpu()
	seen95, seen99 := load()
	stop()
	<-done
	ran := time.Since(began)
	slices.Sort(took)
	perLook := (busy - idle).Seconds() * 1000 / cpuFor.Seconds()
	d.add(t, version, n, fmt.Sprintf("%.0f, %.0f", ms(took[len(took)/2]), ms(took[len(took)-1])), fmt.Sprintf("%.0f", perLook), p95+", "+p99, seen95+", "+seen99,
		fmt.Sprintf("%d in %.0f s", len(took), ran.Seconds()))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
