package observer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// The rate of looks, and their bounds.
const (
	// lookEvery is the time from one look's beginning to the next one's: a look has
	// four queries.
	lookEvery = time.Second
	// slow is how long a query may take before production counts as struggling:
	// the next look comes after a pause, which doubles each time up to maxPause.
	slow     = 500 * time.Millisecond
	maxPause = time.Minute
	// timeout ends a query, and with it the look.
	timeout = 3 * time.Second
	// batch is how many connections one look asks for the details of.
	batch = 100
	// maxAsked bounds the connections that wait for a look.
	maxAsked = 8 << 10
	// ringRest is how long the capture may take to hand over what it has captured:
	// only behind it is known what passed during a look.
	ringRest = 25 * time.Millisecond
)

// An Observer asks one production server.
type Observer struct {
	config  *driver.Config
	log     *slog.Logger
	own     own
	known   known
	dialect atomic.Pointer[session.Dialect]

	mu    sync.Mutex
	asked []wire.Endpoint
	in    map[wire.Endpoint]bool // asked, as a set
	wake  chan struct{}

	// Of the run.
	db      *sql.DB
	server  *server
	untyped bool // performance_schema.threads has no CONNECTION_TYPE
	pause   time.Duration
	slowed  bool   // a query took long
	said    string // the last error logged
}

// A Seen is what one look saw of one connection.
type Seen struct {
	State session.State
	// Idle: it executed nothing before and after its details were read.
	Idle bool
}

// Size returns the octets that s takes, 0 for none.
func (s *Seen) Size() int {
	if s == nil {
		return 0
	}
	return s.State.Size()
}

// A Look is what one look at production told.
type Look struct {
	Began, Ended time.Time
	// Told has every connection that was looked for, by its client's end; nil:
	// production does not know it. At the start all connections are looked for;
	// what Told has of those that nobody asked for is kept for Recall.
	// Where production knows only a client's name, its address is zero.
	Told    map[wire.Endpoint]*Seen
	Dialect *session.Dialect // nil: unknown
}

// ParseDSN parses a data source name of go-sql-driver. Its error does not repeat
// it.
func ParseDSN(dsn string) (*driver.Config, error) {
	c, err := driver.ParseDSN(dsn)
	if err != nil {
		return nil, errors.New("it is no data source name such as USER:PASSWORD@tcp(127.0.0.1:3306)/ or USER:PASSWORD@unix(/run/mysqld/mysqld.sock)/")
	}
	if c.User == "" {
		return nil, errors.New("it names no user: USER:PASSWORD@tcp(127.0.0.1:3306)/")
	}
	return c, nil
}

// New returns an observer that has not asked yet. What it keeps of connections that
// nobody has asked for takes at most the given octets.
func New(c *driver.Config, keep int, log *slog.Logger) *Observer {
	o := &Observer{config: c.Clone(), log: log, in: make(map[wire.Endpoint]bool), wake: make(chan struct{}, 1),
		known: known{told: make(map[wire.Endpoint]recalled), limit: keep}}
	c = o.config
	c.Logger = &driver.NopLogger{}
	c.DialFunc = o.dial
	c.Timeout, c.ReadTimeout, c.WriteTimeout = timeout, timeout, timeout
	c.InterpolateParams = true // one command each, no statement of ours
	c.DBName = ""
	return o
}

// Own reports whether a client is this observer itself.
func (o *Observer) Own(client wire.Endpoint) bool { return o.own.has(client) }

// Ask asks for a connection by its client's end. It does not wait; the answer is
// in one of the next looks, if there is one.
func (o *Observer) Ask(client wire.Endpoint) {
	o.mu.Lock()
	if !o.in[client] && len(o.asked) < maxAsked {
		o.in[client] = true
		o.asked = append(o.asked, client)
	}
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// next takes the connections that are asked for in the next look.
func (o *Observer) next() []wire.Endpoint {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(len(o.asked), batch)
	want := append([]wire.Endpoint(nil), o.asked[:n]...)
	o.asked = append(o.asked[:0], o.asked[n:]...)
	for _, e := range want {
		delete(o.in, e)
	}
	return want
}

// Run looks until ctx ends: first at all connections, then at those that are asked
// for. tell takes each look.
func (o *Observer) Run(ctx context.Context, tell func(*Look)) {
	connector, err := driver.NewConnector(o.config)
	if err != nil {
		o.complain(err)
		return
	}
	o.db = sql.OpenDB(connector)
	defer o.db.Close()
	o.db.SetMaxOpenConns(1)
	o.db.SetMaxIdleConns(1)
	o.db.SetConnMaxIdleTime(10 * time.Second)
	var rest []wire.Endpoint // of those that are open at the start
	var open int
	for first := true; ctx.Err() == nil; {
		began := time.Now()
		if first {
			if rest, err = o.everybody(ctx); err == nil {
				first, open = false, len(rest)
			}
		}
		if !first {
			want := o.next()
			asked := len(want)
			if n := min(batch-asked, len(rest)); !o.known.full() {
				want, rest = append(want, rest[:n]...), rest[n:]
			}
			if len(want) == 0 && !o.await(ctx) {
				return
			}
			if len(want) > 0 {
				var look *Look
				if look, err = o.look(ctx, want); err == nil {
					for _, client := range want[asked:] {
						if seen := look.Told[client]; seen != nil {
							o.Remember(client, seen, look.Ended)
						}
					}
					tell(look)
					if open > 0 && len(rest) == 0 {
						o.log.Info("what production knows of its open sessions is known", "sessions", open)
						open = 0
					}
				} else {
					for _, e := range want {
						o.Ask(e)
					}
				}
			}
		}
		if ctx.Err() != nil {
			return
		}
		o.rest(ctx, began, err)
	}
}

// await waits until somebody asks.
func (o *Observer) await(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-o.wake:
		return true
	}
}

// errStruggling ends a look when production takes long to answer.
var errStruggling = errors.New("production is slow to answer, so it is left alone for a while")

// rest waits until the next look is due.
func (o *Observer) rest(ctx context.Context, began time.Time, err error) {
	d := lookEvery - time.Since(began)
	if err == nil && o.slowed {
		err = errStruggling
	}
	if o.slowed = false; err != nil {
		o.complain(err)
		o.pause = min(max(2*o.pause, 2*time.Second), maxPause)
		d = o.pause
	} else {
		o.pause, o.said = 0, ""
	}
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// complain logs an error, but not the same one twice in a row.
func (o *Observer) complain(err error) {
	if text := err.Error(); text != o.said {
		o.said = text
		o.log.Warn("production cannot be asked about its open sessions: those that are not known yet are not adopted with their state", "error", text)
	}
}

// query runs one query and hands its rows, as octets, to row. Their memory is
// row's.
func (o *Observer) query(ctx context.Context, what, text string, row func([][]byte)) error {
	began := time.Now()
	rows, err := o.db.QueryContext(ctx, text)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	to := make([]any, len(names))
	for rows.Next() {
		cells := make([][]byte, len(names))
		for i := range cells {
			to[i] = &cells[i]
		}
		if err := rows.Scan(to...); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		row(cells)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if time.Since(began) > slow {
		o.slowed = true
	}
	return nil
}
