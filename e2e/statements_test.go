package e2e

import (
	"context"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// Where the servers number prepared statements differently, as MariaDB does when
// it takes threads from its cache, ids are mapped: had one statement been
// executed for another, the tables would differ.
func TestStatementIDsDiffer(t *testing.T) {
	l := labtest.Lab(t)
	cache := func(ctx context.Context, size string) {
		for _, s := range []*lab.Server{l.ProductionServer, l.TargetServer} {
			if err := s.Exec(ctx, "SET GLOBAL thread_cache_size = "+size); err != nil {
				t.Fatal(err)
			}
		}
	}
	cache(t.Context(), "64")
	t.Cleanup(func() { cache(context.Background(), "0") })
	if err := l.FillBench(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Threads that have numbered statements already, more of them on the target.
	for i, s := range []*lab.Server{l.ProductionServer, l.TargetServer} {
		for range 2 + 3*i {
			if _, err := l.Client.Run(t.Context(), "sysbench", "oltp_point_select", "--mysql-socket="+s.Socket(), "--mysql-user=root",
				"--tables=4", "--table-size=5000", "--threads=4", "--events=20", "run"); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := labtest.Begin(t, lab.Run{})
	for range 3 {
		r.Load("-n", "100", "-prepared", "write")
		// The next writer drops this one's table. On the target only what one
		// session does is in order, so let it be done.
		r.CatchUp()
	}
	r.Load("-threads", "8", "-n", "10", "-each", "5", "-prepared", "loop")
	r.Client("sysbench", lab.BenchArgs("oltp_write_only", l.Production.V4.String(), 1, 2)...)
	r.Client("sysbench", lab.BenchArgs("oltp_read_only", l.Production.V4.String(), 8, 2)...)
	r.Whole()
	r.SameTables("app")
	r.SameTables("sbtest")
}
