package lab

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The tables of the sysbench loads: small enough to make in a second, large
// enough that threads seldom meet on a row.
const (
	benchTables = 4
	benchRows   = 5000
)

// BenchArgs are sysbench's arguments for a load on the bench tables.
func BenchArgs(load, host string, threads, seconds int, more ...string) []string {
	args := []string{load, "--mysql-host=" + host, "--mysql-user=" + BenchUser, "--mysql-password=" + BenchPassword,
		"--tables=" + strconv.Itoa(benchTables), "--table-size=" + strconv.Itoa(benchRows),
		"--threads=" + strconv.Itoa(threads), "--time=" + strconv.Itoa(seconds), "--report-interval=0"}
	return append(append(args, more...), "run")
}

// FillBench makes the bench tables anew on production and copies them to the
// target, over the unix sockets.
func (l *Lab) FillBench(ctx context.Context) error {
	for _, s := range []*Server{l.ProductionServer, l.TargetServer} {
		if err := s.Exec(ctx, "DROP DATABASE IF EXISTS sbtest", "CREATE DATABASE sbtest"); err != nil {
			return err
		}
	}
	if _, err := run(ctx, "sysbench", "oltp_read_write", "--mysql-socket="+l.ProductionServer.socket, "--mysql-user=root",
		"--tables="+strconv.Itoa(benchTables), "--table-size="+strconv.Itoa(benchRows), "--threads=1", "prepare"); err != nil {
		return fmt.Errorf("fill the bench tables: %w", err)
	}
	production, err := l.ProductionServer.Checksums(ctx, "sbtest")
	if err != nil {
		return err
	}
	for table := range production {
		if err := l.copyTable(ctx, "sbtest."+table); err != nil {
			return fmt.Errorf("copy sbtest.%s to the target: %w", table, err)
		}
	}
	target, err := l.TargetServer.Checksums(ctx, "sbtest")
	if err != nil {
		return err
	}
	if !maps.Equal(production, target) {
		return fmt.Errorf("bench tables differ: %v on production, %v on the target", production, target)
	}
	return nil
}

// copyTable copies a table by way of a file, which both servers can reach: they
// share our disk.
func (l *Lab) copyTable(ctx context.Context, table string) error {
	file := filepath.Join(l.dir, table+".rows")
	defer os.Remove(file)
	var name, create string
	if err := l.ProductionServer.db.QueryRowContext(ctx, "SHOW CREATE TABLE "+table).Scan(&name, &create); err != nil {
		return err
	}
	schema, _, _ := strings.Cut(table, ".")
	if err := l.ProductionServer.Exec(ctx, "SELECT * FROM "+table+" INTO OUTFILE '"+file+"'"); err != nil {
		return err
	}
	return l.TargetServer.Exec(ctx, "USE "+schema, create, "LOAD DATA INFILE '"+file+"' INTO TABLE "+table)
}
