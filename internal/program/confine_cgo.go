//go:build cgo

package program

import "fmt"

// Confine does nothing: with cgo there may be threads that the runtime does not
// know. What is shipped is built without; the race detector needs it.
func Confine(c Confinement) error {
	if c.User != "" {
		if _, err := lookUp(c.User); err != nil {
			return fmt.Errorf("become user %s: %w", c.User, err)
		}
		return fmt.Errorf("become user %s: this program was built with cgo, which cannot", c.User)
	}
	return fmt.Errorf("%w: this program was built with cgo", ErrKeepsPrivileges)
}
