package ledger

import (
	"fmt"
	"strconv"
	"time"
)

// Colours of a terminal (ECMA-48, section 8.3.117, SGR).
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func paint(on bool, color, text string) string {
	if !on {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// short writes a count or a rate in at most six characters.
func short(v float64) string {
	switch {
	case v < 9.95 && v != float64(int64(v)):
		return fmt.Sprintf("%.1f", v)
	case v < 999_999.5:
		return fmt.Sprintf("%.0f", v)
	case v < 999.5e6:
		return fmt.Sprintf("%.1fM", v/1e6)
	default:
		return fmt.Sprintf("%.1fG", v/1e9)
	}
}

// brief writes a duration in at most six characters.
func brief(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2fms", float64(d.Microseconds())/1e3)
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%.1fmin", d.Minutes())
	default:
		return fmt.Sprintf("%.1fh", d.Hours())
	}
}

// percent writes a share. What is not all never reads as 100 %, and what is not
// nothing never as 0 %.
func percent(n, all uint64) string {
	switch {
	case n == 0 || all == 0:
		return "0 %"
	case n >= all:
		return "100 %"
	}
	p := 100 * float64(n) / float64(all)
	switch {
	case p < 0.1:
		return "<0.1 %"
	case p > 99.9:
		return ">99.9 %"
	case p < 10 || p > 90:
		return fmt.Sprintf("%.1f %%", p)
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

func count(n uint64, what string) string {
	if n != 1 {
		what += "s"
	}
	return grouped(n) + " " + what
}

// grouped writes n with its thousands apart.
func grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var b []byte
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b = append(b, ',')
		}
		b = append(b, digits[i])
	}
	return string(b)
}

// bytesize writes a number of bytes with a binary unit.
func bytesize(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	v, i := float64(n), 0
	for v >= 1000 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
