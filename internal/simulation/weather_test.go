package simulation

import (
	"fmt"
	"strings"
)

// A weather is a set of things that go wrong.
type weather uint32

const (
	loss        weather = 1 << iota // packets get lost, both ways between us and the target
	repeats                         // packets come twice
	disorder                        // packets overtake each other
	delay                           // packets take up to 30 ms
	cutPackets                      // packets to the target are cut, which is a loss; the intercept's frames are captured in part
	twoPaths                        // the intercept sees the target's packets on two interfaces
	stalls                          // the control channel delivers nothing for a while
	breaks                          // the control channel breaks
	restarts                        // the intercept is started anew, and knows nothing
	stuck                           // the target reads nothing for a while; its buffers are small
	absence                         // the intercept is away for longer than anybody waits
	gaps                            // client's frames are not captured
	cutFrames                       // client's frames are captured in part
	leaves                          // the target closes connections
	resets                          // the target resets connections
	clientRST                       // clients reset connections
	late                            // mrtecopy starts when connections are open already, and is told of them
	untold                          // the same, but nobody tells
	numWeathers = iota
)

// fatal are those in which commands may get lost.
const fatal = absence | gaps | cutFrames | leaves | resets | clientRST | untold

// lossy are those in which a RST may get lost, which nobody repeats.
const lossy = loss | cutPackets

var weatherNames = [numWeathers]string{"loss", "repeats", "disorder", "delay", "cut-packets", "two-paths", "stalls", "breaks", "restarts", "stuck",
	"absence", "gaps", "cut-frames", "leaves", "resets", "client-rst", "late", "untold"}

func (w weather) has(any weather) bool { return w&any != 0 }

func (w weather) String() string {
	var names []string
	for i, name := range weatherNames {
		if w&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "fair"
	}
	return strings.Join(names, "+")
}

// parseWeather is the reverse of String.
func parseWeather(text string) (w weather, err error) {
	if text == "fair" {
		return 0, nil
	}
	for name := range strings.SplitSeq(text, "+") {
		found := false
		for i, n := range weatherNames {
			if n == name {
				w, found = w|1<<i, true
			}
		}
		if !found {
			return 0, fmt.Errorf("no weather %q: there are %s", name, strings.Join(weatherNames[:], ", "))
		}
	}
	return w, nil
}

// weathers are those that the test goes through: one thing at a time, and mixed.
func weathers() (all []weather) {
	all = append(all, 0)
	for i := range numWeathers {
		all = append(all, 1<<i)
	}
	const network = loss | repeats | disorder | delay
	const control = stalls | breaks | restarts
	return append(all,
		network, network|cutPackets|twoPaths, control, network|control, network|stuck, control|stuck, network|control|cutPackets|twoPaths|stuck,
		gaps|network, gaps|control, leaves|resets|network, leaves|resets|control, clientRST|network|control, absence|network|leaves,
		late|network, late|control|stuck, late|gaps|network, late|untold|control|network, 1<<numWeathers-1)
}
