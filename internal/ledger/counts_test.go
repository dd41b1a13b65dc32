package ledger

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// numbers sets every uint64 in v, which may hold structs and arrays, to values
// from next.
func numbers(v reflect.Value, next func() uint64) {
	switch v.Kind() {
	case reflect.Uint64:
		v.SetUint(next())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				numbers(v.Field(i), next)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			numbers(v.Index(i), next)
		}
	}
}

// Add must not forget a counter, whichever is added to Counts later.
func TestAddAddsEveryField(t *testing.T) {
	var a, b, want Counts
	n := uint64(0)
	numbers(reflect.ValueOf(&a).Elem(), func() uint64 { n++; return n })
	numbers(reflect.ValueOf(&b).Elem(), func() uint64 { n++; return n * n })
	n = 0
	var va []uint64
	numbers(reflect.ValueOf(&want).Elem(), func() uint64 { n++; va = append(va, n); return 0 })
	i := 0
	numbers(reflect.ValueOf(&want).Elem(), func() uint64 { n++; i++; return va[i-1] + n*n })

	a.AddSendError("EPERM", 1)
	b.AddSendError("EPERM", 2)
	b.AddSendError("EMSGSIZE", 3)
	a.Lag.Record(time.Second)
	b.Lag.Record(time.Millisecond)
	a.Add(&b)

	if want := map[string]uint64{"EPERM": 3, "EMSGSIZE": 3}; !reflect.DeepEqual(a.Send.Errors, want) {
		t.Errorf("send errors %v, want %v", a.Send.Errors, want)
	}
	if a.Lag.Count() != 2 {
		t.Errorf("%d values of lag, want 2", a.Lag.Count())
	}
	a.Send.Errors, a.Lag = nil, Lag{}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("sum\n%+v\nwant\n%+v", a, want)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	var a Counts
	a.AddSendError("EPERM", 1)
	a.Lag.Record(time.Second)
	b := a.Clone()
	a.AddSendError("EPERM", 1)
	a.Lag.Record(time.Second)
	if b.Send.Errors["EPERM"] != 1 || b.Lag.Count() != 1 {
		t.Errorf("a copy changed with its original: %+v, %d", b.Send.Errors, b.Lag.Count())
	}
}

func TestBalance(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var c Counts
		numbers(reflect.ValueOf(&c).Elem(), func() uint64 { return r.Uint64N(1000) })
		for _, b := range []*ByReason{&c.Commands.Skipped, &c.Commands.Lost, &c.Sessions.Skipped, &c.Sessions.Lost} {
			b[None] = 0
		}
		c.Commands.Captured = c.Commands.Answered + c.Commands.Skipped.Total() + c.Commands.Lost.Total() + c.Commands.Pending
		c.Sessions.Captured = c.Sessions.Replayed + c.Sessions.Skipped.Total() + c.Sessions.Lost.Total() + c.Sessions.Open
		if err := c.Balance(); err != nil {
			t.Fatal(err)
		}
		for name, off := range map[string]*uint64{
			"commands":         &c.Commands.Pending,
			"sessions":         &c.Sessions.Open,
			"without a reason": &c.Sessions.Lost[None],
		} {
			*off++
			if err := c.Balance(); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s off by one: error %v", name, err)
			}
			*off--
		}
	}
}

func TestReasons(t *testing.T) {
	seen := make(map[string]bool)
	for r := None; r < NumReasons; r++ {
		name := r.String()
		if name == "" || seen[name] || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("reason %d is named %q", r, name)
		}
		seen[name] = true
		if r != None && r.Hint() == "" {
			t.Errorf("%s has no hint", r)
		}
	}
	if NumReasons.String() != "unknown" || NumReasons.Hint() != "" {
		t.Error("a reason out of range has a name")
	}
}

func TestLag(t *testing.T) {
	var l Lag
	if l.Count() != 0 || l.Quantile(50) != 0 || l.Max() != 0 {
		t.Error("the zero Lag is not empty")
	}
	near := func(got, want time.Duration) bool {
		return got >= want-want/100-time.Microsecond && got <= want+want/100+time.Microsecond
	}
	for i := range 1000 {
		l.Record(time.Duration(i+1) * time.Millisecond)
	}
	if !near(l.Quantile(50), 500*time.Millisecond) || !near(l.Quantile(99), 990*time.Millisecond) || !near(l.Max(), time.Second) {
		t.Errorf("p50 %v, p99 %v, max %v", l.Quantile(50), l.Quantile(99), l.Max())
	}

	var before Lag
	before.Add(&l)
	for range 10 {
		l.Record(5 * time.Second)
	}
	since := l.Since(&before)
	if since.Count() != 10 || !near(since.Quantile(1), 5*time.Second) {
		t.Errorf("since: %d values, p1 %v", since.Count(), since.Quantile(1))
	}
	if since := l.Since(&l); since.Count() != 0 {
		t.Errorf("since itself: %d values", since.Count())
	}
	var empty Lag
	if since := empty.Since(&Lag{}); since.Count() != 0 {
		t.Errorf("empty since empty: %d values", since.Count())
	}

	var odd Lag
	odd.Record(-time.Second)
	odd.Record(240 * time.Hour)
	if odd.Count() != 2 || !near(odd.Max(), maxLag) {
		t.Errorf("out of range: %d values, max %v", odd.Count(), odd.Max())
	}
}

func TestRecordingDoesNotAllocate(t *testing.T) {
	var c Counts
	c.Lag.Record(0)
	d := time.Duration(0)
	if n := testing.AllocsPerRun(1000, func() {
		d += 7919 * time.Microsecond
		c.Lag.Record(d)
		c.Commands.Lost[CaptureGap]++
	}); n != 0 {
		t.Errorf("recording allocates %v times, want 0", n)
	}
}
