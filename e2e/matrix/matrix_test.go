// Package matrix holds the test of every pair of servers with every kind of
// client: production and target of different families, ages and authentication
// plugins, and drivers that speak different dialects of the protocol. What the
// target counts and stores must be what production counted and stored.
//
// MATRIX=all runs every pair with every client and plugin, as `make test-matrix`
// does; else four pairs are run, which have every server, client and plugin.
package matrix

import (
	"os"
	"testing"
)

func TestMatrix(t *testing.T) {
	pairs := some()
	if os.Getenv("MATRIX") == "all" {
		pairs = all()
	}
	var table outcome
	for _, p := range pairs {
		t.Run(p.String(), func(t *testing.T) {
			l := p.raise(t)
			for _, c := range p.cells {
				t.Run(c.String(), func(t *testing.T) {
					result := "FAILED"
					defer func() { table.add(p, c, result) }()
					if said := p.run(t, l, c); !t.Failed() {
						result = said
					}
				})
			}
		})
	}
	t.Log(table.String())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
