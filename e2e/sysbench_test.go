package e2e

import (
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

func TestSysbench(t *testing.T) {
	for _, tt := range []struct {
		name    string
		load    string
		threads int
		ps      string
		writer  bool
	}{
		{"oltp_read_only, 8 threads, text", "oltp_read_only", 8, "disable", false},
		{"oltp_read_only, 8 threads, prepared", "oltp_read_only", 8, "auto", false},
		{"oltp_read_write, 16 threads, text", "oltp_read_write", 16, "disable", false},
		{"oltp_read_write, 16 threads, prepared", "oltp_read_write", 16, "auto", false},
		{"oltp_write_only, a single writer, text", "oltp_write_only", 1, "disable", true},
		{"oltp_write_only, a single writer, prepared", "oltp_write_only", 1, "auto", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := labtest.Lab(t)
			if err := l.FillBench(t.Context()); err != nil {
				t.Fatal(err)
			}
			r := labtest.Begin(t, lab.Run{})
			r.Client("sysbench", lab.BenchArgs(tt.load, l.Production.V4.String(), tt.threads, 8, "--db-ps-mode="+tt.ps)...)
			r.Whole()
			if tt.writer {
				r.SameTables("sbtest")
			}
		})
	}
}
