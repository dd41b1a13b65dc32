package control

import "fmt"

// Version is the protocol's. Both sides must speak the same one.
const Version = 1

// A mode is how a connection is protected.
type mode uint8

const (
	modePlain mode = 0
	modeTLS   mode = 1
)

func modeOf(key *Key) mode {
	if key == nil {
		return modePlain
	}
	return modeTLS
}

func (m mode) String() string {
	switch m {
	case modePlain:
		return "without a key (--insecure)"
	case modeTLS:
		return "with a key (--key-file)"
	}
	return fmt.Sprintf("in mode %d", uint8(m))
}

// A preface is the first that each side sends, in the clear whatever the mode,
// so that two that do not fit can say what is wrong. Its layout never changes.
//
//	"mrtecopy" | int<1> version | int<1> mode
type preface [prefaceSize]byte

const (
	magic       = "mrtecopy"
	prefaceSize = len(magic) + 2
)

func prefaceOf(m mode) (p preface) {
	copy(p[:], magic)
	p[len(magic)], p[len(magic)+1] = Version, byte(m)
	return p
}

func (p preface) version() uint8 { return p[len(magic)] }
func (p preface) mode() mode     { return mode(p[len(magic)+1]) }

// A MismatchError means that the two daemons are not set up for each other:
// another attempt fares no better before somebody changes that.
type MismatchError struct{ Mend string }

func (e *MismatchError) Error() string { return e.Mend }

// fit compares the prefaces of the two daemons, of which self is this one.
func fit(self, peer string, own, other preface) error {
	switch {
	case other.version() != own.version():
		return &MismatchError{fmt.Sprintf("%s speaks version %d of the control protocol, this %s version %d: run the same release of both",
			peer, other.version(), self, own.version())}
	case other.mode() != own.mode():
		return &MismatchError{fmt.Sprintf("%s runs %v, this %s %v: give both the same --key-file, or both --insecure",
			peer, other.mode(), self, own.mode())}
	}
	return nil
}
