package policy

// A Class is what a rule of the policy is about: a kind of statement or command
// that may mean something else on the target than it did on production, or harm
// it. A statement can be of several classes.
type Class uint8

const (
	// Ordinary is the class of everything that no rule is about.
	Ordinary Class = iota
	// KillSession: KILL and COM_PROCESS_KILL.
	KillSession
	// Shutdown: the server ends or begins anew.
	Shutdown
	// GlobalVariables: settings of the whole server.
	GlobalVariables
	// FlushLock: locks on the whole server, for backups.
	FlushLock
	// Flush: caches, logs and statistics of the whole server.
	Flush
	// Accounts: who may do what, password hashes included.
	Accounts
	// Outfile: files that the server writes.
	Outfile
	// Replication: what makes the server a replica, and its binary log.
	Replication
	// Clone: the server's data replaced by that of another, or copied.
	Clone
	// Server: code and parts of the server, other servers it knows.
	Server
	// DynamicSQL: the text of the statement is a value that is not seen.
	DynamicSQL
	// Unclear: the text can be read in more ways than are tried.
	Unclear

	// NumClasses is the length of an array indexed by Class.
	NumClasses
)

// classes holds of each class the name in configuration files, what is done by
// default, and what `mrtecopy policy` says of it.
var classes = [NumClasses]struct {
	name   string
	action Action
	about  string
}{
	Ordinary:        {"ordinary", Replay, "everything else"},
	KillSession:     {"kill", Replay, "KILL with a literal id, COM_PROCESS_KILL; replayed with the id of the replayed session"},
	Shutdown:        {"shutdown", Skip, "SHUTDOWN, RESTART, COM_SHUTDOWN"},
	GlobalVariables: {"global_variables", Skip, "SET GLOBAL, SET PERSIST, SET @@global.…, RESET PERSIST"},
	FlushLock:       {"flush_lock", Skip, "FLUSH TABLES … WITH READ LOCK or FOR EXPORT, BACKUP, LOCK INSTANCE, LOCK TABLES FOR BACKUP"},
	Flush:           {"flush", Replay, "any other FLUSH, RESET QUERY CACHE, COM_REFRESH"},
	Accounts:        {"accounts", Skip, "CREATE, ALTER, DROP, RENAME USER and ROLE, GRANT, REVOKE, SET PASSWORD, SET DEFAULT ROLE"},
	Outfile:         {"outfile", Skip, "SELECT … INTO OUTFILE, INTO DUMPFILE"},
	Replication:     {"replication", Skip, "CHANGE MASTER, START and STOP REPLICA, RESET, PURGE BINARY LOGS, BINLOG, COM_BINLOG_DUMP"},
	Clone:           {"clone", Skip, "CLONE, COM_CLONE"},
	Server:          {"server", Skip, "INSTALL, UNINSTALL, ALTER INSTANCE, CREATE FUNCTION … SONAME; SERVER and RESOURCE GROUP"},
	DynamicSQL:      {"dynamic_sql", Replay, "PREPARE and EXECUTE IMMEDIATE of anything but a literal: the text is not seen"},
	Unclear:         {"unclear", Skip, "text that servers can read in too many ways: as with executable comments of four versions; above 64 MiB; COM_MULTI"},
}

// String returns the name that configuration files use.
func (c Class) String() string {
	if c >= NumClasses {
		return "unknown"
	}
	return classes[c].name
}

// ParseClass is the reverse of Class.String. Ordinary has no rule, so its name
// is not taken.
func ParseClass(name string) (c Class, ok bool) {
	for c := Ordinary + 1; c < NumClasses; c++ {
		if classes[c].name == name {
			return c, true
		}
	}
	return Ordinary, false
}

// An Action is what a rule says. The zero Action is the harmless one.
type Action uint8

const (
	Skip Action = iota
	Replay
)

// String returns the word that configuration files use.
func (a Action) String() string {
	if a == Replay {
		return "replay"
	}
	return "skip"
}

// ParseAction is the reverse of Action.String.
func ParseAction(word string) (a Action, ok bool) {
	switch word {
	case "replay":
		return Replay, true
	case "skip":
		return Skip, true
	}
	return Skip, false
}

// A Table says for each class whether it is replayed.
type Table [NumClasses]Action

// Default returns the policy of an operator who said nothing.
func Default() (t Table) {
	for c := range t {
		t[c] = classes[c].action
	}
	return t
}

// A Row is a line of the policy as it is shown.
type Row struct {
	Name   string
	Action Action
	About  string
}

// Rows returns the table's rules, one for each class but Ordinary.
func (t Table) Rows() []Row {
	var rows []Row
	for c := Ordinary + 1; c < NumClasses; c++ {
		rows = append(rows, Row{classes[c].name, t[c], classes[c].about})
	}
	return rows
}

// A classSet has a bit for each class: 1<<Class.
type classSet uint16

func (s *classSet) add(c Class) { *s |= 1 << c }

// first returns the lowest class of the set.
func (s classSet) first() Class {
	for c := range NumClasses {
		if s&(1<<c) != 0 {
			return c
		}
	}
	return Ordinary
}
