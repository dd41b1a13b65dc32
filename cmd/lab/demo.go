package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"mrtecopy/internal/lab"
)

// A demo is the demonstration: a load on production, replayed onto the target.
type demo struct {
	out      io.Writer
	duration time.Duration
	threads  int
	rate     int // transactions a second; 0: no limit
	load     string
}

func (d *demo) run(ctx context.Context) (err error) {
	l, err := lab.Up(ctx, lab.Options{Log: d.out})
	if err != nil {
		return err
	}
	defer func() {
		d.say("taking the lab down")
		err = errors.Join(err, l.Down())
	}()
	d.say("filling the same tables on both servers")
	if err := l.FillBench(ctx); err != nil {
		return err
	}
	d.say("on the target: intercept route target … apply; on the blackhole host: intercept route blackhole … apply")
	if err := l.ShareKey(ctx); err != nil {
		return err
	}
	if said, err := l.Routes(ctx, "apply"); err != nil {
		return fmt.Errorf("%w\n%s", err, said)
	}
	production, err := l.ProductionServer.Baseline(ctx)
	if err != nil {
		return err
	}
	target, err := l.TargetServer.Baseline(ctx)
	if err != nil {
		return err
	}
	d.say("on the blackhole host: intercept")
	intercept, err := l.StartIntercept(ctx, lab.Run{})
	if err != nil {
		return err
	}
	run := lab.Run{Output: d.out}
	d.say("on production: mrtecopy " + strings.Join(l.MrtecopyArgs(run), " "))
	mrtecopy, err := l.StartMrtecopy(ctx, run)
	if err != nil {
		return err
	}

	d.say(fmt.Sprintf("on the client: sysbench %s, %d connections, %v, against production", d.load, d.threads, d.duration))
	seconds := max(1, int(d.duration.Seconds()))
	bench, err := l.Client.Run(ctx, "sysbench", lab.BenchArgs(d.load, l.Production.V4.String(), d.threads, seconds, "--rate="+strconv.Itoa(d.rate))...)
	if err != nil {
		return err
	}
	ended := time.Now()
	p, t, err := catchUp(ctx, production, target)
	if err != nil {
		return err
	}
	behind := time.Since(ended)

	d.say("stopping mrtecopy and intercept")
	result, err := mrtecopy.Stop(ctx)
	if err != nil {
		return err
	}
	if _, err := intercept.Stop(ctx); err != nil {
		return err
	}
	if result.Raw == nil {
		return fmt.Errorf("mrtecopy ended with code %d and no summary:\n%s", result.ExitCode, result.Log)
	}
	table(d.out, p, t, &result.Summary, behind, throughput(bench))
	if lab.Difference(p, t) != "" || result.ExitCode != 0 {
		return fmt.Errorf("the target did not get all of it (mrtecopy's exit code %d)", result.ExitCode)
	}
	return nil
}

func (d *demo) say(what string) { fmt.Fprintln(d.out, "demo:", what) }

// catchUp waits until the target has counted what production has, at most a minute.
func catchUp(ctx context.Context, production, target *lab.Baseline) (p, t lab.Counters, err error) {
	for deadline := time.Now().Add(time.Minute); ; {
		if p, err = production.Since(ctx); err != nil {
			return nil, nil, err
		}
		if t, err = target.Since(ctx); err != nil {
			return nil, nil, err
		}
		if lab.Difference(p, t) == "" || time.Now().After(deadline) {
			return p, t, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// queries matches sysbench's line `queries: 93494 (31065.53 per sec.)`.
var queries = regexp.MustCompile(`queries:\s+\d+\s+\(([\d.]+) per sec`)

// throughput is the load's queries per second, as sysbench measured it.
func throughput(bench string) float64 {
	m := queries.FindStringSubmatch(bench)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseFloat(m[1], 64) // the pattern lets only numbers through
	return n
}
