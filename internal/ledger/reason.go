package ledger

// A Reason says why a command or a session was not replayed. Its name is what
// the summary shows and what docs/operations.md explains.
//
// The same reason can stand in both columns. Skipped means that the program
// knew beforehand that it could not replay this faithfully and sent nothing of
// it; lost means that it meant to replay it and something got in the way.
type Reason uint8

const (
	// None is the absence of a reason. Nothing is ever counted under it.
	None Reason = iota
	// TLS: the client asked for encryption, so its commands cannot be read.
	TLS
	// Compression: the session's compressed packets cannot be read.
	Compression
	// Dialect: the target's version of the protocol has no such command.
	Dialect
	// UnknownUser: the credentials file has no line for the captured user.
	UnknownUser
	// OpenedBeforeStart: the session was open before the capture began, so its
	// login, its schema and its prepared statements are unknown, and it is not
	// adopted.
	OpenedBeforeStart
	// NoLogin: the client left, or sent something else, before its login.
	NoLogin
	// ProductionRefused: production refused the client's login.
	ProductionRefused
	// LoginRefused: the target answered the login with an error.
	LoginRefused
	// PortInUse: no free source port was left for the client's address on the
	// target.
	PortInUse
	// UnmappableClient: the client's address cannot be forged toward the target,
	// for it is the target's or the intercept's own.
	UnmappableClient
	// StatementID: lost, the statement that a command uses is not known for
	// certain on the target; skipped, the target refused to prepare it.
	StatementID
	// UnseenStatement: the statement that a command uses was prepared before its
	// session was adopted, and its text is not known.
	UnseenStatement
	// ParameterTypes: an execution relies on parameter types that its client sent
	// before its session was adopted, and they cannot be told from its values.
	ParameterTypes
	// CaptureGap: frames of the client were missed, and this fell into the hole.
	CaptureGap
	// TargetRefused: the target answered the SYN with a reset.
	TargetRefused
	// TargetUnreachable: the target never answered the SYN.
	TargetUnreachable
	// TargetClosed: the target ended an open session.
	TargetClosed
	// InterceptGone: no intercept was connected, so no answer could be seen.
	InterceptGone
	// ResponseTimeout: the target received the command and never answered.
	ResponseTimeout
	// ResponseGap: the intercept missed part of the response, so that its end
	// could not be found.
	ResponseGap
	// Memory: the memory limit was reached and this was shed.
	Memory
	// SessionMemory: this session alone held more than one may.
	SessionMemory
	// SessionLimit: as many sessions were open as may be.
	SessionLimit
	// Replication: the session is a replica's or asks for the binary log.
	Replication
	// Policy: the command would harm the target or mean something else there,
	// such as SHUTDOWN and SET GLOBAL.
	Policy
	// OnlyRead: only what cannot write is to be replayed, and this may.
	OnlyRead
	// Excluded: the operator left this statement out by its text.
	Excluded
	// User: the operator left the session's user out.
	User
	// Schema: the operator left the session's schema out.
	Schema
	// NotSent: the program stopped, or the session ended, before its turn came.
	NotSent

	// NumReasons is the length of an array indexed by Reason.
	NumReasons
)

// reasons holds the name of each reason and the hint that the status lines
// give when it first turns up. A hint names the next step.
var reasons = [NumReasons]struct{ name, hint string }{
	None:              {"none", ""},
	TLS:               {"tls", "encrypted sessions cannot be read on the wire; let the clients connect without TLS if you can"},
	Compression:       {"compression", "compressed packets of these sessions cannot be read; please report the client's name and version"},
	Dialect:           {"dialect", "the target's version of the protocol cannot say these commands; see docs/operations.md, Dialects"},
	UnknownUser:       {"unknown_user", "the credentials file has no line for these users; add USER:PASSWORD, or *=ACCOUNT:PASSWORD for all"},
	OpenedBeforeStart: {"opened_before_start", "these were open before mrtecopy started; to adopt them give --production-dsn or --adopt-user; else they count from their next login on"},
	NoLogin:           {"no_login", "these clients left before they logged in: health checks, port scans"},
	ProductionRefused: {"production_refused", "production refused these logins, so they are not replayed either"},
	LoginRefused:      {"login_refused", "the target refuses the login; compare its accounts with the credentials file, and see the target's error log"},
	PortInUse:         {"port_in_use", "the target still holds connections from the same address and port; see ss -tn on the target"},
	UnmappableClient:  {"unmappable_client", "clients on the target's or the intercept's own host cannot be forged"},
	StatementID:       {"statement_id", "production's answers to PREPARE were missed, or the target refused to prepare; see docs/operations.md"},
	UnseenStatement:   {"unseen_statement", "these statements were prepared before their sessions were adopted; give --production-dsn, or restart the clients; texts of 1,024 bytes and more are not to be had"},
	ParameterTypes:    {"parameter_types", "these clients sent the types of their parameters before their sessions were adopted; restart the clients"},
	CaptureGap:        {"capture_gap", "frames were missed; see the dropped column, and try a larger --ring or more --shards"},
	TargetRefused:     {"target_refused", "nothing listens on the target's port; is its server running?"},
	TargetUnreachable: {"target_unreachable", "no SYN was answered; run 'intercept route target … check' on the target's host; no --except there may cover replayed clients; does the network drop forged sources?"},
	TargetClosed:      {"target_closed", "the target ended sessions by itself; see its error log, max_connections and wait_timeout"},
	InterceptGone:     {"intercept_gone", "no intercept is connected; is it running, and do --intercept and the key agree with it?"},
	ResponseTimeout:   {"response_timeout", "the target took commands and never answered; see its processlist"},
	ResponseGap:       {"response_gap", "the intercept missed responses; see its dropped column"},
	Memory:            {"memory", "the memory limit was reached; raise --max-memory or make the target faster"},
	SessionMemory:     {"session_memory", "single sessions held more than --max-session-memory: commands that large, or a target that does not take them"},
	SessionLimit:      {"session_limit", "--max-sessions were open; raise it, and --max-memory by a kilobyte or two for each"},
	Replication:       {"replication", "replicas and binary log readers are no clients to replay"},
	Policy:            {"policy", "commands that would harm the target or mean something else there; see mrtecopy policy"},
	OnlyRead:          {"only_read", "what may write is left out, by --only read"},
	Excluded:          {"excluded", "statements left out by --exclude"},
	User:              {"user", "sessions of users left out by --users or --exclude-users"},
	Schema:            {"schema", "statements in schemas that --schemas does not name"},
	NotSent:           {"not_sent", "sessions ended before these commands could be sent; a longer --drain may help at the end"},
}

// String returns the name that the summary uses.
func (r Reason) String() string {
	if r >= NumReasons {
		return "unknown"
	}
	return reasons[r].name
}

// Hint returns what the operator can do about r, in one line.
func (r Reason) Hint() string {
	if r >= NumReasons {
		return ""
	}
	return reasons[r].hint
}
