package simulation

import (
	"encoding/binary"
	"fmt"
	"maps"
	"strings"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
)

// A Client is a model of a captured client and of the production server it
// speaks to: what it does becomes a list of captured items, and the list of
// what the target should execute.
type Client struct {
	Items  []Item
	Expect []string // as Server.Executed

	Nxt   seq.Num // of the client's stream
	Prod  seq.Num // of production's stream
	Read  seq.Num // how far the client has read it: its ACK number
	Later []Item  // production's answers to what is pipelined
	Piped bool

	NextID     uint32
	Statements map[uint32]string
	Commands   uint64          // sent
	LeftOut    uint64          // of Commands: by the default policy
	long       map[uint32]bool // statements whose first parameter was sent as long data

	Greeting   *mysql.Greeting   // production's; nil: not captured
	attributes bool              // query attributes are in effect on production
	How        mysql.Compression // of the packets behind the login
	LoggedIn   bool

	user, schema string
	Pauses       []Pause
}

// A Pause is a moment in which the client has nothing under way: what was done
// until then, and the state of its session.
type Pause struct {
	items, expected   int
	commands, leftOut uint64
	User, Schema      string
	Statements        map[uint32]string
}

// Pause notes that the client pauses.
func (c *Client) Pause() {
	if len(c.long) > 0 {
		return // a part of an execution was sent
	}
	c.Pauses = append(c.Pauses, Pause{len(c.Items), len(c.Expect), c.Commands, c.LeftOut, c.user, c.schema, maps.Clone(c.Statements)})
}

// Since forgets what was done before a pause.
func (c *Client) Since(p *Pause) {
	c.Items, c.Expect = c.Items[p.items:], c.Expect[p.expected:]
	c.Commands -= p.commands
	c.LeftOut -= p.leftOut
}

type ItemKind uint8

const (
	ItemData ItemKind = iota
	ItemGap
	ItemPrepared // production's answer to a PREPARE
	ItemFIN
	ItemRST
	ItemDo // not of the client: something else happens here
)

// An Item is a thing that is captured.
type Item struct {
	Kind ItemKind
	B    []byte
	Ack  seq.Num
	End  seq.Num
	At   seq.Num // of ItemPrepared
	Do   any     // ItemDo: what happens, which is the test's
}

func NewClient() *Client {
	c := &Client{Nxt: 0xffffff00, Prod: 0xfffffe80, NextID: 1, Statements: make(map[uint32]string), long: make(map[uint32]bool)}
	c.Read = c.Prod
	c.Greeting = &mysql.Greeting{Version: "5.5.5-10.11.18-MariaDB", Capabilities: ModelCaps, Charset: 45, Plugin: mysql.PluginNativePassword}
	c.Answer(90) // the greeting
	return c
}

// Answer makes production's next answer of n octets, which the client reads
// unless it pipelines.
func (c *Client) Answer(n int) (at seq.Num) {
	at = c.Prod
	c.Prod = c.Prod.Add(n)
	if !c.Piped {
		c.Read = c.Prod
	}
	return at
}

// Pipeline makes the client send what f does without reading answers.
func (c *Client) Pipeline(f func()) *Client {
	c.Piped = true
	f()
	c.Piped = false
	c.Read = c.Prod
	c.Items = append(c.Items, c.Later...)
	c.Later = nil
	return c
}

// Raw sends octets, compressed if that was agreed on.
func (c *Client) Raw(b []byte) {
	if c.LoggedIn && c.How != mysql.CompressionNone {
		b = Compressed(c.How, b, 0)
	}
	c.Nxt = c.Nxt.Add(len(b))
	c.Items = append(c.Items, Item{Kind: ItemData, B: b, Ack: c.Read, End: c.Nxt})
}

// Packet sends a payload, in as many packets as it takes.
func (c *Client) Packet(sequence uint8, payload []byte) {
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
	c.Raw(b)
}

var TestLogin = mysql.Login{
	Capabilities: ModelCaps &^ (mysql.ClientSSL | mysql.ClientCompress | mysql.ClientMultiStatements), MaxPacket: 1 << 24, Charset: 45, User: "app", Schema: "shop",
	AuthResponse: []byte("twenty octets, truly"), Plugin: "caching_sha2_password", Attributes: []byte("\x03_os\x05Linux"),
}

func (c *Client) Login() *Client { return c.LoginAs(TestLogin) }

func (c *Client) LoginAs(l mysql.Login) *Client {
	c.user, c.schema = l.User, l.Schema
	c.Packet(1, l.Append(nil))
	c.Answer(11)
	c.LoggedIn = true
	return c
}

// Command sends a command that is answered with n octets.
func (c *Client) Command(cmd mysql.Command, arg string, n int) *Client {
	c.Commands++
	c.Expect = append(c.Expect, fmt.Sprintf("%s %s", cmd, Short([]byte(arg))))
	if c.attributes && cmd == mysql.ComQuery {
		arg = someAttributes[c.Commands%uint64(len(someAttributes))] + arg
	}
	c.Packet(0, append([]byte{byte(cmd)}, arg...))
	c.Answer(n)
	return c
}

func (c *Client) Query(sql string) *Client { return c.Command(mysql.ComQuery, sql, 11) }

func (c *Client) Queries(n int) *Client {
	for i := range n {
		c.Query(fmt.Sprintf("select %d", i))
	}
	return c
}

// Quit ends the connection like a well-behaved client.
func (c *Client) Quit() *Client {
	c.Command(mysql.ComQuit, "", 0)
	return c.Fin()
}

func (c *Client) Fin() *Client {
	c.Nxt = c.Nxt.Add(1)
	c.Items = append(c.Items, Item{Kind: ItemFIN})
	return c
}

func (c *Client) Rst() *Client {
	c.Items = append(c.Items, Item{Kind: ItemRST})
	return c
}

// Prepare prepares a statement; production refuses one that begins with "~" or
// "!", the target one that begins with "^" or "!".
func (c *Client) Prepare(sql string) (id uint32) {
	c.Command(mysql.ComStmtPrepare, sql, 0)
	id = c.NextID
	c.NextID++
	if sql[0] == '~' || sql[0] == '!' {
		refusal := RefusedHead
		if c.How != mysql.CompressionNone {
			refusal = Compressed(c.How, refusal, 1)
		}
		c.Answered(refusal, 20)
		return id
	}
	c.Statements[id] = sql
	params, columns := shapeOf(sql)
	ok := PrepareOK(id, params, columns)
	if c.How != mysql.CompressionNone {
		ok = Compressed(c.How, append(ok, make([]byte, len(sql))...), 1)
	}
	c.Answered(ok, 16+20*strings.Count(sql, "?"))
	return id
}

var RefusedHead = []byte("\x10\x00\x00\x01\xff\x28\x04#42000no SQL!")

// Answered makes an answer of n octets, whose head b is captured.
func (c *Client) Answered(b []byte, n int) {
	it := Item{Kind: ItemPrepared, B: b, At: c.Prod, Ack: c.Nxt}
	c.Answer(n)
	if c.Piped {
		c.Later = append(c.Later, it)
	} else {
		c.Items = append(c.Items, it)
	}
}

// Statement sends a command on a prepared statement.
func (c *Client) Statement(cmd mysql.Command, id uint32, arg string) *Client {
	text, ok := c.Statements[id]
	if !ok {
		text = "unknown statement"
	}
	c.Commands++
	c.Expect = append(c.Expect, fmt.Sprintf("%s {%s} %s", cmd, text, Short([]byte(arg))))
	p := binary.LittleEndian.AppendUint32([]byte{byte(cmd)}, id)
	c.Packet(0, append(p, arg...))
	switch cmd {
	case mysql.ComStmtSendLongData:
		c.long[id] = true
	case mysql.ComStmtReset:
		delete(c.long, id)
	}
	if cmd.HasResponse() {
		c.Answer(11)
	}
	return c
}

// LeaveOut takes the last command's expectation back: the default policy leaves
// it out.
func (c *Client) LeaveOut() *Client {
	c.LeftOut++
	return c.Forget(1)
}

func (c *Client) Execute(id uint32) *Client {
	const head = "\x00\x01\x00\x00\x00"
	n, long := paramsOf(c.Statements[id]), c.long[id]
	delete(c.long, id)
	if !c.attributes || n == 0 {
		return c.Statement(mysql.ComStmtExecute, id, head+executeArgs(n, 0, false, long))
	}
	c.Statement(mysql.ComStmtExecute, id, head+executeArgs(n, 1, true, long))
	last := len(c.Expect) - 1
	c.Expect[last] = fmt.Sprintf("%s {%s} %s", mysql.ComStmtExecute, c.Statements[id], Short([]byte(head+executeArgs(n, 0, false, long))))
	return c
}

// Bulk sends a COM_STMT_BULK_EXECUTE. The target gets executions with these
// arguments instead.
func (c *Client) Bulk(id uint32, arg string, executions ...string) *Client {
	c.Statement(mysql.ComStmtBulkExecute, id, arg).Forget(1)
	for _, e := range executions {
		c.Expect = append(c.Expect, fmt.Sprintf("%s {%s} %s", mysql.ComStmtExecute, c.Statements[id], Short([]byte("\x00\x01\x00\x00\x00"+e))))
	}
	return c
}

// bulkOf is a bulk of so many rows of tiny integers, where the statement has
// parameters.
func (c *Client) bulkOf(id uint32, rows int) *Client {
	n := paramsOf(c.Statements[id])
	if n == 0 || c.long[id] { // no client mixes long data and bulks
		return c.Execute(id)
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
	return c.Bulk(id, arg, executions...)
}

func (c *Client) Close(id uint32) *Client {
	c.Statement(mysql.ComStmtClose, id, "")
	delete(c.Statements, id)
	return c
}

// ChangeUser sends a COM_CHANGE_USER and proves the password.
func (c *Client) ChangeUser(user, schema string) *Client {
	c.Commands++
	rest := "\x00" + schema + "\x00\x2d\x00" + mysql.PluginNativePassword + "\x00\x00"
	c.Expect = append(c.Expect, fmt.Sprintf("%s %s", mysql.ComChangeUser, Short([]byte(strings.TrimRight("t_"+user+"\x00"+rest, "\x00")))))
	c.Packet(0, []byte(string(byte(mysql.ComChangeUser))+user+"\x00\x14twenty octets, truly"+rest[1:]))
	c.Answer(44)
	c.Packet(2, []byte("twenty octets, truly"))
	c.Answer(11)
	clear(c.Statements)
	c.user, c.schema = user, schema
	return c
}

func (c *Client) Reset() *Client {
	c.Command(mysql.ComResetConnection, "", 11)
	clear(c.Statements)
	return c
}

// Load sends a LOAD DATA LOCAL and its file in packets of the given size; no
// packets: production does not ask for it.
func (c *Client) Load(sql string, chunks ...string) *Client {
	c.Command(mysql.ComQuery, sql, 10)
	if chunks != nil {
		c.Expect = append(c.Expect, fmt.Sprintf("FILE of %s: %s", sql[:min(len(sql), 40)], Short([]byte(strings.Join(chunks, "")))))
		sequence := uint8(2)
		for _, b := range chunks {
			c.Packet(sequence, []byte(b))
			sequence++
		}
		c.Packet(sequence, nil)
		c.Answer(11)
	}
	return c
}

// Do makes something else happen at this point.
func (c *Client) Do(what any) *Client {
	c.Items = append(c.Items, Item{Kind: ItemDo, Do: what})
	return c
}

// Forget takes the last n expectations back: the target does not see these.
func (c *Client) Forget(n int) *Client {
	c.Expect = c.Expect[:len(c.Expect)-n]
	return c
}

// Hole makes n octets from the given offset of the stream on not captured.
func (c *Client) Hole(from, n int) *Client {
	var items []Item
	at := 0
	for _, it := range c.Items {
		start := it.End.Add(-len(it.B))
		part := func(kind ItemKind, from, to int) {
			from, to = max(from, 0), min(to, len(it.B))
			if from >= to {
				return
			}
			p := Item{Kind: kind, B: it.B[from:to], Ack: it.Ack, End: start.Add(to)}
			if last := len(items) - 1; kind == ItemGap && last >= 0 && items[last].Kind == ItemGap {
				items[last].B = append(items[last].B[:len(items[last].B):len(items[last].B)], p.B...)
				items[last].End = p.End
				return
			}
			items = append(items, p)
		}
		if it.Kind != ItemData {
			items = append(items, it)
			at += len(it.B)
			continue
		}
		part(ItemData, 0, from-at)
		part(ItemGap, from-at, from+n-at)
		part(ItemData, from+n-at, len(it.B))
		at += len(it.B)
	}
	c.Items = items
	return c
}

// CutLast makes the last data end n octets early, for good.
func (c *Client) CutLast(n int) *Client {
	it := &c.Items[len(c.Items)-1]
	it.B = it.B[:len(it.B)-n]
	it.End = it.End.Add(-n)
	c.Nxt = it.End
	return c
}

// Split cuts the captured data into segments of at most size octets.
func (c *Client) Split(size func() int) *Client {
	var items []Item
	for _, it := range c.Items {
		if it.Kind != ItemData {
			items = append(items, it)
			continue
		}
		end := it.End.Add(-len(it.B))
		for b := it.B; len(b) > 0; {
			n := min(len(b), size())
			end = end.Add(n)
			items = append(items, Item{Kind: ItemData, B: b[:n], Ack: it.Ack, End: end})
			b = b[n:]
		}
	}
	c.Items = items
	return c
}

// Merge joins captured data that the client sent with one ACK number, as a
// client that pipelines does.
func (c *Client) Merge() *Client {
	var items []Item
	for _, it := range c.Items {
		if n := len(items) - 1; it.Kind == ItemData && n >= 0 && items[n].Kind == ItemData && items[n].Ack == it.Ack {
			items[n].B = append(items[n].B[:len(items[n].B):len(items[n].B)], it.B...)
			items[n].End = it.End
			continue
		}
		items = append(items, it)
	}
	c.Items = items
	return c
}
