package session

import (
	"encoding/binary"
	"fmt"
	"strings"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
)

// A client is a model of a captured client and of the production server it
// speaks to: what it does becomes a list of captured items, and the list of
// what the target should execute.
type client struct {
	items  []item
	expect []string // as server.executed

	nxt   seq.Num // of the client's stream
	prod  seq.Num // of production's stream
	read  seq.Num // how far the client has read it: its ACK number
	later []item  // production's answers to what is pipelined
	piped bool

	nextID     uint32
	statements map[uint32]string
	commands   uint64          // sent
	long       map[uint32]bool // statements whose first parameter was sent as long data

	greeting   *mysql.Greeting   // production's; nil: not captured
	attributes bool              // query attributes are in effect on production
	how        mysql.Compression // of the packets behind the login
	loggedIn   bool
}

type itemKind uint8

const (
	itemData itemKind = iota
	itemGap
	itemPrepared // production's answer to a PREPARE
	itemFIN
	itemRST
	itemDo // not of the client: something else happens here
)

// An item is a thing that is captured.
type item struct {
	kind itemKind
	b    []byte
	ack  seq.Num
	end  seq.Num
	at   seq.Num // itemPrepared
	do   any // itemDo: what happens, which is the test's
}

func newClient() *client {
	c := &client{nxt: 0xffffff00, prod: 0xfffffe80, nextID: 1, statements: make(map[uint32]string), long: make(map[uint32]bool)}
	c.read = c.prod
	c.greeting = &mysql.Greeting{Version: "5.5.5-10.11.18-MariaDB", Capabilities: modelCaps, Charset: 45, Plugin: mysql.PluginNativePassword}
	c.answer(90) // the greeting
	return c
}

// answer makes production's next answer of n octets, which the client reads
// unless it pipelines.
func (c *client) answer(n int) (at seq.Num) {
	at = c.prod
	c.prod = c.prod.Add(n)
	if !c.piped {
		c.read = c.prod
	}
	return at
}

// pipeline makes the client send what f does without reading answers.
func (c *client) pipeline(f func()) *client {
	c.piped = true
	f()
	c.piped = false
	c.read = c.prod
	c.items = append(c.items, c.later...)
	c.later = nil
	return c
}

// raw sends octets, compressed if that was agreed on.
func (c *client) raw(b []byte) {
	if c.loggedIn && c.how != mysql.CompressionNone {
		b = compressed(c.how, b, 0)
	}
	c.nxt = c.nxt.Add(len(b))
	c.items = append(c.items, item{kind: itemData, b: b, ack: c.read, end: c.nxt})
}

// packet sends a payload, in as many packets as it takes.
func (c *client) packet(sequence uint8, payload []byte) {
	var b []byte
	for {
		n := min(len(payload), mysql.MaxPayload)
		b = append(mysql.AppendHeader(b, n, sequence), payload[:n]...)
		payload = payload[n:]
		sequence++
		if n < mysql.MaxPayload {
			break
		}
	}
	c.raw(b)
}

var testLogin = mysql.Login{
	Capabilities: modelCaps &^ (mysql.ClientSSL | mysql.ClientCompress | mysql.ClientMultiStatements), MaxPacket: 1 << 24, Charset: 45, User: "app", Schema: "shop",
	AuthResponse: []byte("twenty octets, truly"), Plugin: "caching_sha2_password", Attributes: []byte("\x03_os\x05Linux"),
}

func (c *client) login() *client { return c.loginAs(testLogin) }

func (c *client) loginAs(l mysql.Login) *client {
	c.packet(1, l.Append(nil))
	c.answer(11)
	c.loggedIn = true
	return c
}

// command sends a command that is answered with n octets.
func (c *client) command(cmd mysql.Command, arg string, n int) *client {
	c.commands++
	c.expect = append(c.expect, fmt.Sprintf("%s %s", cmd, short([]byte(arg))))
	if c.attributes && cmd == mysql.ComQuery {
		arg = someAttributes[c.commands%uint64(len(someAttributes))] + arg
	}
	c.packet(0, append([]byte{byte(cmd)}, arg...))
	c.answer(n)
	return c
}

func (c *client) query(sql string) *client { return c.command(mysql.ComQuery, sql, 11) }

func (c *client) queries(n int) *client {
	for i := range n {
		c.query(fmt.Sprintf("select %d", i))
	}
	return c
}

// quit ends the connection like a well-behaved client.
func (c *client) quit() *client {
	c.command(mysql.ComQuit, "", 0)
	return c.fin()
}

func (c *client) fin() *client {
	c.nxt = c.nxt.Add(1)
	c.items = append(c.items, item{kind: itemFIN})
	return c
}

func (c *client) rst() *client {
	c.items = append(c.items, item{kind: itemRST})
	return c
}

// prepare prepares a statement; production refuses one that begins with "~" or
// "!", the target one that begins with "^" or "!".
func (c *client) prepare(sql string) (id uint32) {
	c.command(mysql.ComStmtPrepare, sql, 0)
	id = c.nextID
	c.nextID++
	if sql[0] == '~' || sql[0] == '!' {
		refusal := refusedHead
		if c.how != mysql.CompressionNone {
			refusal = compressed(c.how, refusal, 1)
		}
		c.answered(refusal, 20)
		return id
	}
	c.statements[id] = sql
	params, columns := shapeOf(sql)
	ok := prepareOK(id, params, columns)
	if c.how != mysql.CompressionNone {
		ok = compressed(c.how, append(ok, make([]byte, len(sql))...), 1)
	}
	c.answered(ok, 16+20*strings.Count(sql, "?"))
	return id
}

var refusedHead = []byte("\x10\x00\x00\x01\xff\x28\x04#42000no SQL!")

// answered makes an answer of n octets, whose head b is captured.
func (c *client) answered(b []byte, n int) {
	it := item{kind: itemPrepared, b: b, at: c.prod, ack: c.nxt}
	c.answer(n)
	if c.piped {
		c.later = append(c.later, it)
	} else {
		c.items = append(c.items, it)
	}
}

// statement sends a command on a prepared statement.
func (c *client) statement(cmd mysql.Command, id uint32, arg string) *client {
	text, ok := c.statements[id]
	if !ok {
		text = "unknown statement"
	}
	c.commands++
	c.expect = append(c.expect, fmt.Sprintf("%s {%s} %s", cmd, text, short([]byte(arg))))
	p := binary.LittleEndian.AppendUint32([]byte{byte(cmd)}, id)
	c.packet(0, append(p, arg...))
	switch cmd {
	case mysql.ComStmtSendLongData:
		c.long[id] = true
	case mysql.ComStmtReset:
		delete(c.long, id)
	}
	if cmd.HasResponse() {
		c.answer(11)
	}
	return c
}

func (c *client) execute(id uint32) *client {
	const head = "\x00\x01\x00\x00\x00"
	n, long := paramsOf(c.statements[id]), c.long[id]
	delete(c.long, id)
	if !c.attributes || n == 0 {
		return c.statement(mysql.ComStmtExecute, id, head+executeArgs(n, 0, false, long))
	}
	c.statement(mysql.ComStmtExecute, id, head+executeArgs(n, 1, true, long))
	last := len(c.expect) - 1
	c.expect[last] = fmt.Sprintf("%s {%s} %s", mysql.ComStmtExecute, c.statements[id], short([]byte(head+executeArgs(n, 0, false, long))))
	return c
}

// bulk sends a COM_STMT_BULK_EXECUTE. The target gets executions with these
// arguments instead.
func (c *client) bulk(id uint32, arg string, executions ...string) *client {
	c.statement(mysql.ComStmtBulkExecute, id, arg).forget(1)
	for _, e := range executions {
		c.expect = append(c.expect, fmt.Sprintf("%s {%s} %s", mysql.ComStmtExecute, c.statements[id], short([]byte("\x00\x01\x00\x00\x00"+e))))
	}
	return c
}

// bulkOf is a bulk of so many rows of tiny integers, where the statement has
// parameters.
func (c *client) bulkOf(id uint32, rows int) *client {
	n := paramsOf(c.statements[id])
	if n == 0 || c.long[id] { // no client mixes long data and bulks
		return c.execute(id)
	}
	arg := "\x80\x00" + strings.Repeat("\x01\x00", n)
	var executions []string
	for row := range rows {
		args := executeArgs(n, 0, false, true)
		args = args[:len(args)-(n-1)]
		for range n {
			arg += "\x00" + string(rune(row))
			args += string(rune(row))
		}
		executions = append(executions, args)
	}
	return c.bulk(id, arg, executions...)
}

func (c *client) close(id uint32) *client {
	c.statement(mysql.ComStmtClose, id, "")
	delete(c.statements, id)
	return c
}

// changeUser sends a COM_CHANGE_USER and proves the password.
func (c *client) changeUser(user, schema string) *client {
	c.commands++
	rest := "\x00" + schema + "\x00\x2d\x00" + mysql.PluginNativePassword + "\x00\x00"
	c.expect = append(c.expect, fmt.Sprintf("%s %s", mysql.ComChangeUser, short([]byte(strings.TrimRight("t_"+user+"\x00"+rest, "\x00")))))
	c.packet(0, []byte(string(byte(mysql.ComChangeUser))+user+"\x00\x14twenty octets, truly"+rest[1:]))
	c.answer(44)
	c.packet(2, []byte("twenty octets, truly"))
	c.answer(11)
	clear(c.statements)
	return c
}

func (c *client) reset() *client {
	c.command(mysql.ComResetConnection, "", 11)
	clear(c.statements)
	return c
}

// load sends a LOAD DATA LOCAL and its file in packets of the given size; no
// packets: production does not ask for it.
func (c *client) load(sql string, chunks ...string) *client {
	c.command(mysql.ComQuery, sql, 10)
	if chunks != nil {
		c.expect = append(c.expect, fmt.Sprintf("FILE of %s: %s", sql[:min(len(sql), 40)], short([]byte(strings.Join(chunks, "")))))
		sequence := uint8(2)
		for _, b := range chunks {
			c.packet(sequence, []byte(b))
			sequence++
		}
		c.packet(sequence, nil)
		c.answer(11)
	}
	return c
}

// do makes something else happen at this point.
func (c *client) do(what any) *client {
	c.items = append(c.items, item{kind: itemDo, do: what})
	return c
}

// forget takes the last n expectations back: the target does not see these.
func (c *client) forget(n int) *client {
	c.expect = c.expect[:len(c.expect)-n]
	return c
}

// hole makes n octets from the given offset of the stream on not captured.
func (c *client) hole(from, n int) *client {
	var items []item
	at := 0
	for _, it := range c.items {
		start := it.end.Add(-len(it.b))
		part := func(kind itemKind, from, to int) {
			from, to = max(from, 0), min(to, len(it.b))
			if from >= to {
				return
			}
			p := item{kind: kind, b: it.b[from:to], ack: it.ack, end: start.Add(to)}
			if last := len(items) - 1; kind == itemGap && last >= 0 && items[last].kind == itemGap {
				items[last].b = append(items[last].b[:len(items[last].b):len(items[last].b)], p.b...)
				items[last].end = p.end
				return
			}
			items = append(items, p)
		}
		if it.kind != itemData {
			items = append(items, it)
			at += len(it.b)
			continue
		}
		part(itemData, 0, from-at)
		part(itemGap, from-at, from+n-at)
		part(itemData, from+n-at, len(it.b))
		at += len(it.b)
	}
	c.items = items
	return c
}

// cutLast makes the last data end n octets early, for good.
func (c *client) cutLast(n int) *client {
	it := &c.items[len(c.items)-1]
	it.b = it.b[:len(it.b)-n]
	it.end = it.end.Add(-n)
	c.nxt = it.end
	return c
}

// split cuts the captured data into segments of at most size octets.
func (c *client) split(size func() int) *client {
	var items []item
	for _, it := range c.items {
		if it.kind != itemData {
			items = append(items, it)
			continue
		}
		end := it.end.Add(-len(it.b))
		for b := it.b; len(b) > 0; {
			n := min(len(b), size())
			end = end.Add(n)
			items = append(items, item{kind: itemData, b: b[:n], ack: it.ack, end: end})
			b = b[n:]
		}
	}
	c.items = items
	return c
}

// merge joins captured data that the client sent with one ACK number, as a
// client that pipelines does.
func (c *client) merge() *client {
	var items []item
	for _, it := range c.items {
		if n := len(items) - 1; it.kind == itemData && n >= 0 && items[n].kind == itemData && items[n].ack == it.ack {
			items[n].b = append(items[n].b[:len(items[n].b):len(items[n].b)], it.b...)
			items[n].end = it.end
			continue
		}
		items = append(items, it)
	}
	c.items = items
	return c
}
