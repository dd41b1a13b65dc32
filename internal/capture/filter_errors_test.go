//go:build linux

package capture

import (
	"fmt"
	"strings"
	"testing"

	"mrtecopy/internal/mysql"
)

// The errors of compressed sessions may be sent plain: below 50 octets, or where
// compression gains nothing.
func TestFilterPassesCompressedERRs(t *testing.T) {
	filter := must(ServerFilter(serverAddrs, 3306))
	var d mysql.Decompressor
	refusals, dropped := 0, 0
	for name, turns := range saidByServers(t, "compressed/*.bin") {
		how := mysql.CompressionZlib
		if strings.Contains(name, "zstd") {
			how = mysql.CompressionZstd
		}
		for _, said := range turns[1:] {
			if b := d.Head(how, said, mysql.HeaderSize+9); isRefusal(b) {
				if refusals++; !passesHead(t, filter, said) {
					dropped++
					t.Errorf("%s: refusal %q is dropped", name, said[:min(len(said), 80)])
				}
			}
		}
	}
	t.Logf("%d of %d refusals are dropped", dropped, refusals)
}

// An ERR of 12 octets (a SIGNAL with a text of three) is as long as a PREPARE's OK.
func TestFilterPassesERRsOfTwelve(t *testing.T) {
	filter := must(ServerFilter(serverAddrs, 3306))
	for _, text := range []string{"ab", "abc", "abcd", "abcde"} {
		p := "\xff\x6c\x06#45000" + text
		if b := fmt.Sprintf("%c\x00\x00\x01%s", len(p), p); !passesHead(t, filter, []byte(b)) {
			t.Errorf("an ERR of %d octets is dropped", len(p))
		}
	}
}
