package routing

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// A plan is what the host must have, in the order in which it is done: the
// part that turns replies away comes last.
type plan struct {
	steps []step
	notes []string
	read  func() (*host, error)
	ours  func(*host) []piece // what we may have done before, wanted or not
}

// A step is one command and what it is for.
type step struct {
	why   string
	piece piece
}

// A piece is a rule, a route or a setting.
type piece interface {
	present(h *host) bool
	add() command
	do() error
	undo() error
	undone() string // what undo does, in words of a shell where it can be said so
}

func (p *plan) print(w io.Writer) {
	for _, n := range p.notes {
		fmt.Fprintf(w, "# note: %s\n", n)
	}
	for _, s := range p.steps {
		fmt.Fprintf(w, "# %s\n%v\n", s.why, s.piece.add())
	}
}

// apply does what is missing and takes away what an earlier apply did that is
// not wanted any more. On an error it takes back what it did itself.
func (p *plan) apply(w io.Writer) (err error) {
	if err := kernelRoutesByPort(); err != nil {
		return err
	}
	for _, n := range p.notes {
		fmt.Fprintf(w, "note     %s\n", n)
	}
	var done []piece
	defer func() {
		if err == nil {
			return
		}
		for _, d := range slices.Backward(done) {
			err = errors.Join(err, d.undo())
		}
	}()
	for _, s := range p.steps {
		h, err := p.read()
		if err != nil {
			return err
		}
		if s.piece.present(h) {
			if shared, ok := s.piece.(setting); ok {
				if err := shared.share(); err != nil {
					return err
				}
			}
			fmt.Fprintf(w, "present  %v\n", s.piece.add())
			continue
		}
		if err := s.piece.do(); err != nil {
			return err
		}
		done = append(done, s.piece)
		if h, err = p.read(); err != nil {
			return err
		}
		if !s.piece.present(h) {
			return fmt.Errorf("%v: no error, yet nothing changed", s.piece.add())
		}
		fmt.Fprintf(w, "done     %v\n", s.piece.add())
	}
	h, err := p.read()
	if err != nil {
		return err
	}
	for _, old := range p.unwanted(h) {
		if err := old.undo(); err != nil {
			return err
		}
		fmt.Fprintf(w, "removed  %s\n", old.undone())
	}
	return nil
}

// check tells the state of each piece with the command that mends it, and
// returns the number of those that need it.
func (p *plan) check(w io.Writer) (wrong int, err error) {
	h, err := p.read()
	if err != nil {
		return 0, err
	}
	for _, n := range p.notes {
		fmt.Fprintf(w, "note     %s\n", n)
	}
	for _, s := range p.steps {
		if s.piece.present(h) {
			fmt.Fprintf(w, "present  %s\n", s.why)
			continue
		}
		wrong++
		fmt.Fprintf(w, "missing  %s\n         mend: %v\n", s.why, s.piece.add())
	}
	for _, old := range p.unwanted(h) {
		wrong++
		fmt.Fprintf(w, "unasked  left by an earlier apply\n         mend: %s\n", old.undone())
	}
	return wrong, nil
}

// unwanted returns what is ours on the host and not in the plan.
func (p *plan) unwanted(h *host) []piece {
	return slices.DeleteFunc(p.ours(h), func(o piece) bool {
		return slices.ContainsFunc(p.steps, func(s step) bool { return s.piece == o })
	})
}

// undo takes away everything of ours, in the order opposite to doing it, and
// goes on after an error: what is left is as little as possible.
func undo(w io.Writer, ours []piece) error {
	var errs []error
	for _, o := range slices.Backward(ours) {
		if err := o.undo(); err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(w, "removed  %s\n", o.undone())
	}
	return errors.Join(errs...)
}
