package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"mrtecopy/internal/mysql"
)

// A raw is one connection that speaks the protocol without a driver, which would
// keep half of it from us. Its commands are counted in its client; errors that
// the server answers are the caller's to judge.
type raw struct {
	c       *client
	conn    net.Conn
	in      []byte // read and not yet taken by tracker
	out     []byte // commands not written yet
	tracker mysql.Tracker
	auth    mysql.AuthOptions

	caps     mysql.Capabilities // in effect
	extended mysql.Extended
	version  mysql.Version
	id       uint32 // the connection's

	file  []byte // what a LOAD DATA LOCAL gets
	asked []mysql.Command
}

// An answer is what the server said to one command.
type answer struct {
	err    error // a mysql.ServerError
	id     uint32
	params int
}

// rawCapabilities are asked for besides what the caller wants.
const rawCapabilities = mysql.ClientProtocol41 | mysql.ClientSecureConnection | mysql.ClientPluginAuth | mysql.ClientLongFlag |
	mysql.ClientTransactions | mysql.ClientMultiResults | mysql.ClientPSMultiResults | mysql.ClientLocalFiles | mysql.ClientPluginAuthLenencClientData

// dial logs in with these capabilities beside rawCapabilities, as far as the
// server has them.
func (c *client) dial(want mysql.Capabilities, extended mysql.Extended) (*raw, error) {
	return c.dialFrom(netip.Addr{}, want, extended)
}

// dialFrom is dial from an address of ours; the zero one is any.
func (c *client) dialFrom(local netip.Addr, want mysql.Capabilities, extended mysql.Extended) (*raw, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	if local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	conn, err := d.Dial("tcp", c.addr)
	if err != nil {
		return nil, err
	}
	r := &raw{c: c, conn: conn}
	if err := r.login(want|rawCapabilities, extended); err != nil {
		conn.Close()
		return nil, fmt.Errorf("login: %w", err)
	}
	c.connections.Add(1)
	return r, nil
}

// login answers the greeting.
func (r *raw) login(want mysql.Capabilities, extended mysql.Extended) error {
	r.tracker.Push(mysql.KindGreeting)
	var g mysql.Greeting
	if err := r.response(func(e mysql.Event) (err error) {
		g, err = mysql.ParseGreeting(e.Payload)
		return err
	}); err != nil {
		return err
	}
	r.version, r.id = mysql.ParseVersion(g.Version), g.ConnectionID
	l := mysql.Login{Capabilities: want & g.Capabilities, Extended: extended & g.Extended, MaxPacket: 1 << 30, Charset: 45, User: r.c.user, Plugin: g.Plugin}
	if l.Extended == 0 {
		l.Capabilities |= mysql.ClientLongPassword
	}
	if l.Schema = r.c.schema; l.Schema != "" {
		l.Capabilities |= mysql.ClientConnectWithDB
	}
	x, response, err := r.auth.Begin(g.Plugin, g.Salt[:], r.c.password)
	if err != nil {
		return err
	}
	l.AuthResponse = response
	r.caps, r.extended = l.Capabilities, l.Extended
	r.tracker.Push(mysql.KindLogin)
	if err := r.packets(l.Append(nil), 1); err != nil {
		return err
	}
	if err := r.authenticate(&x, r.c.password); err != nil {
		return err
	}
	r.tracker.SetCapabilities(r.caps, r.extended)
	return nil
}

// authenticate goes through a login's or a COM_CHANGE_USER's exchange to its end.
func (r *raw) authenticate(x *mysql.AuthExchange, password string) error {
	return r.response(func(e mysql.Event) error {
		p := e.Payload
		if len(p) == 0 || p[0] == 0x00 {
			return nil
		}
		if err, ok := mysql.ParseError(p); ok {
			return err
		}
		var response []byte
		answer := true
		var err error
		if p[0] == 0xfe { // AuthSwitchRequest
			a, err := mysql.ParseAuthSwitch(p)
			if err != nil {
				return err
			}
			if *x, response, err = r.auth.Begin(a.Plugin, a.Data, password); err != nil {
				return err
			}
		} else {
			response, answer, err = x.More(p)
		}
		if err != nil || !answer {
			return err
		}
		return r.packets(response, e.Sequence+1)
	})
}

// packets writes a payload as packets, behind the commands that wait.
func (r *raw) packets(payload []byte, sequence uint8) error {
	r.append(payload, sequence)
	return r.flush()
}

func (r *raw) append(payload []byte, sequence uint8) {
	for {
		n := min(len(payload), mysql.MaxPayload)
		r.out = append(mysql.AppendHeader(r.out, n, sequence), payload[:n]...)
		payload = payload[n:]
		sequence++
		if n < mysql.MaxPayload {
			return
		}
	}
}

func (r *raw) flush() error {
	_, err := r.conn.Write(r.out)
	r.out = r.out[:0]
	return err
}

// response reads to the end of the oldest response, and shows the packets that
// mean something on the way. Behind an error of see the stream is of no use any
// more, unless the response has ended with it.
func (r *raw) response(see func(mysql.Event) error) error {
	var said error
	var events []mysql.Event
	for {
		var n int
		n, events = r.tracker.Feed(r.in, events[:0])
		ended := false
		for _, e := range events {
			switch {
			case ended:
				return errors.New("a response that nobody waits for")
			case e.Type == mysql.End:
				ended = true
			default:
				err := see(e)
				if err != nil && len(e.Payload) > 0 && e.Payload[0] != 0xff {
					return err
				}
				said = errors.Join(said, err)
			}
		}
		r.in = r.in[n:]
		if ended {
			return said
		}
		if r.tracker.Broken() {
			return fmt.Errorf("the response cannot be read: % x", r.in[:min(len(r.in), 32)])
		}
		r.conn.SetReadDeadline(time.Now().Add(time.Minute))
		b := make([]byte, 16<<10)
		k, err := r.conn.Read(b)
		r.in = append(r.in, b[:k]...)
		if err != nil && k == 0 {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read: %w", err)
		}
	}
}

// ask puts a command behind those that wait to be written.
func (r *raw) ask(cmd mysql.Command, payload []byte) {
	r.append(append([]byte{byte(cmd)}, payload...), 0)
	r.c.commands.Add(1)
	if cmd.HasResponse() {
		r.asked = append(r.asked, cmd)
	}
}

// answers writes the commands asked, and reads their answers. The error is the
// connection's.
func (r *raw) answers() (all []answer, err error) {
	if len(r.out) > 0 {
		if err := r.flush(); err != nil {
			return nil, err
		}
	}
	asked := r.asked
	r.asked = nil
	for _, cmd := range asked {
		// One after the other: an End event then never brings the next head.
		r.tracker.Push(mysql.Kind(cmd))
		var a answer
		err := r.response(func(e mysql.Event) error { return r.head(e, &a) })
		if err != nil {
			return all, fmt.Errorf("%v: %w", cmd, err)
		}
		if a.err != nil {
			r.c.errors.Add(1)
		}
		all = append(all, a)
	}
	return all, nil
}

// head reads a packet that means something.
func (r *raw) head(e mysql.Event, a *answer) error {
	if err, ok := mysql.ParseError(e.Payload); ok {
		a.err = err
		return nil
	}
	switch {
	case mysql.Command(e.Kind) == mysql.ComStmtPrepare:
		id, _, params, ok := mysql.ParsePrepareOK(e.Payload)
		if !ok {
			return errors.New("malformed answer to a PREPARE")
		}
		a.id, a.params = id, int(params)
	case e.Payload[0] == 0xfb:
		return r.sendFile(e.Sequence + 1)
	}
	return nil
}

// sendFile answers the request for a file: in packets of 16 KiB, then an empty one.
func (r *raw) sendFile(sequence uint8) error {
	for b := r.file; len(b) > 0; sequence++ {
		n := min(len(b), 16<<10)
		r.append(b[:n], sequence)
		b = b[n:]
	}
	return r.packets(nil, sequence)
}

// do sends one command and returns its answer.
func (r *raw) do(cmd mysql.Command, payload []byte) (answer, error) {
	r.ask(cmd, payload)
	all, err := r.answers()
	if err != nil || len(all) == 0 {
		return answer{}, err
	}
	return all[len(all)-1], nil
}

// askQuery asks a statement, with query attributes where the server takes them.
func (r *raw) askQuery(sql string, attributes ...string) {
	var b []byte
	if r.caps.Has(mysql.ClientQueryAttributes) {
		// int<lenenc> attributes | 01 | nulls | 01 | types and names | values
		b = append(b, byte(len(attributes)/2), 1)
		if n := len(attributes) / 2; n > 0 {
			b = append(b, make([]byte, (n+7)/8)...)
			b = append(b, 1)
			for i := range n {
				b = append(b, typeString, 0, byte(len(attributes[2*i])))
				b = append(b, attributes[2*i]...)
			}
			for i := range n {
				b = append(b, byte(len(attributes[2*i+1])))
				b = append(b, attributes[2*i+1]...)
			}
		}
	}
	r.ask(mysql.ComQuery, append(b, sql...))
}

// query runs statements that must succeed.
func (r *raw) query(statements ...string) error {
	for _, sql := range statements {
		r.askQuery(sql)
		all, err := r.answers()
		if err == nil {
			err = all[0].err
		}
		if err != nil {
			return fmt.Errorf("%.80s: %w", sql, err)
		}
	}
	return nil
}

// fails runs a statement that must fail with this code.
func (r *raw) fails(code uint16, sql string) error {
	r.askQuery(sql)
	all, err := r.answers()
	if err != nil {
		return err
	}
	return expect(all[0], code, sql)
}

// expect says if an answer is not the error of this code; 0 is none.
func expect(a answer, code uint16, what string) error {
	var e mysql.ServerError
	if errors.As(a.err, &e); e.Code != code {
		return fmt.Errorf("%.80s: answered %v, want the error %d", what, a.err, code)
	}
	return nil
}

// must is do for a command that must succeed.
func (r *raw) must(cmd mysql.Command, payload []byte) (answer, error) {
	a, err := r.do(cmd, payload)
	if err == nil {
		err = a.err
	}
	if err != nil {
		err = fmt.Errorf("%v: %w", cmd, err)
	}
	return a, err
}

// changeUser becomes another user, or the same one anew.
func (r *raw) changeUser(user, password, schema string) error {
	u := mysql.ChangeUser{User: user, Schema: schema, Charset: 45, HasCharset: true, Plugin: mysql.PluginNativePassword,
		Padded: !r.version.MariaDB && !r.version.AtLeast(5, 7, 0)}
	r.c.commands.Add(1)
	r.tracker.Push(mysql.Kind(mysql.ComChangeUser))
	if err := r.packets(u.Append(nil, r.caps), 0); err != nil {
		return err
	}
	var x mysql.AuthExchange
	if err := r.authenticate(&x, password); err != nil {
		return fmt.Errorf("change to %s: %w", user, err)
	}
	return nil
}

// Close ends the connection in order.
func (r *raw) Close() error {
	r.ask(mysql.ComQuit, nil)
	if err := r.flush(); err != nil {
		return err
	}
	io.Copy(io.Discard, r.conn) // the server closes
	return r.conn.Close()
}

// hangUp ends the connection by a FIN, without COM_QUIT. What the server says to
// that is read, or a reset would follow.
func (r *raw) hangUp() error {
	if err := r.conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	io.Copy(io.Discard, r.conn)
	return r.conn.Close()
}

// number appends a statement's id.
func number(id uint32) []byte { return binary.LittleEndian.AppendUint32(nil, id) }

// raws is how many threads run fn on a connection each.
func (c *client) raws(_ context.Context, fn func(*raw) error) error {
	return c.parallel(func(int) error {
		r, err := c.dial(mysql.ClientMultiStatements|mysql.ClientDeprecateEOF|mysql.ClientQueryAttributes, mysql.MariaDBStmtBulk|mysql.MariaDBCacheMetadata)
		if err != nil {
			return err
		}
		if err := fn(r); err != nil {
			r.conn.Close()
			return err
		}
		return r.Close()
	})
}
