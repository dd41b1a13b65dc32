package e2e

import (
	"context"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// What clients compress is replayed like everything else.
func TestCompression(t *testing.T) {
	r := labtest.Begin(t, lab.Run{})
	r.Client("mariadb", "--no-defaults", "-h", r.Lab.Production.V4.String(), "-u", lab.AppUser, "-p"+lab.AppPassword,
		"--skip-ssl", "--compress", "-e", "SELECT 1; SELECT '"+longText+"'; SELECT 2")
	for _, args := range [][]string{
		{"-n", "50", "-each", "20", "-threads", "4", "loop"},
		{"-n", "200", "-prepared", "write"},
		{"-n", "10", "-each", "5", "-threads", "4", "-prepared", "loop"},
		{"-n", "3", "-size", "20000000", "insert"},
		{"-n", "1", "-size", "20000000", "infile"},
	} {
		r.Load(append([]string{"-compress"}, args...)...)
		r.CatchUp() // what one load leaves, the next one drops
	}
	r.Whole()
	r.SameTables("app")
}

const longText = "which is long enough to be compressed, which is long enough to be compressed, which is long enough to be compressed"

// A proxy's header in front of a login is not the target's to read.
func TestProxyProtocol(t *testing.T) {
	l := labtest.Lab(t)
	if err := l.ProductionServer.Exec(t.Context(), "SET GLOBAL proxy_protocol_networks = '*'"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.ProductionServer.Exec(context.Background(), "SET GLOBAL proxy_protocol_networks = ''"); err != nil {
			t.Error(err)
		}
	})
	r := labtest.Begin(t, lab.Run{})
	r.Load("-proxy", `PROXY TCP4 192.0.2.7 10.77.0.20 40001 3306\r\n`, "-n", "10", "-each", "3", "short")
	r.Load("-proxy", `\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x4d\x00\x14\x9c\x41\x0c\xea`, "-n", "10", "-each", "3", "-prepared", "loop")
	r.Load("-n", "10", "short")
	r.Whole()
}
