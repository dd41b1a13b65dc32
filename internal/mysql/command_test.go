package mysql

import "testing"

func TestCommand(t *testing.T) {
	for _, tt := range []struct {
		c                     Command
		name                  string
		known, response, uses bool
	}{
		{0x00, "COM_SLEEP", true, true, false},
		{0x01, "COM_QUIT", true, false, false},
		{0x03, "COM_QUERY", true, true, false},
		{0x11, "COM_CHANGE_USER", true, true, false},
		{0x16, "COM_STMT_PREPARE", true, true, false},
		{0x17, "COM_STMT_EXECUTE", true, true, true},
		{0x18, "COM_STMT_SEND_LONG_DATA", true, false, true},
		{0x19, "COM_STMT_CLOSE", true, false, true},
		{0x1a, "COM_STMT_RESET", true, true, true},
		{0x1c, "COM_STMT_FETCH", true, true, true},
		{0x1f, "COM_RESET_CONNECTION", true, true, false},
		{0x7f, "COM_0x7f", false, true, false},
		{0xfa, "COM_STMT_BULK_EXECUTE", true, true, true},
		{0xff, "COM_0xff", false, true, false},
	} {
		if tt.c.String() != tt.name || tt.c.Known() != tt.known || tt.c.HasResponse() != tt.response || tt.c.UsesStatement() != tt.uses {
			t.Errorf("%#02x: %s, known %v, response %v, uses a statement %v; want %s, %v, %v, %v", uint8(tt.c),
				tt.c, tt.c.Known(), tt.c.HasResponse(), tt.c.UsesStatement(), tt.name, tt.known, tt.response, tt.uses)
		}
	}
	for _, k := range []Kind{KindGreeting, KindLogin} {
		if Command(k).Known() {
			t.Errorf("%v is also a command", k)
		}
	}
	if got := Kind(ComPing).String() + " " + KindGreeting.String() + " " + KindLogin.String(); got != "COM_PING greeting login" {
		t.Error(got)
	}
}

func TestCapabilities(t *testing.T) {
	for _, tt := range []struct {
		c    Capabilities
		want uint32
	}{
		{ClientLongPassword, 1},
		{ClientConnectWithDB, 8},
		{ClientProtocol41, 0x200},
		{ClientSSL, 0x800},
		{ClientSecureConnection, 0x8000},
		{ClientPluginAuth, 1 << 19},
		{ClientDeprecateEOF, 1 << 24},
		{ClientOptionalResultsetMetadata, 1 << 25},
		{ClientQueryAttributes, 1 << 27},
		{ClientRememberOptions, 1 << 31},
	} {
		if uint32(tt.c) != tt.want {
			t.Errorf("%#x, want %#x", uint32(tt.c), tt.want)
		}
	}
	if !(ClientSSL | ClientProtocol41).Has(ClientSSL) || ClientSSL.Has(ClientSSL|ClientProtocol41) {
		t.Error("Has wants all flags and no others")
	}
	if MariaDBStmtBulk != 4 || MariaDBCacheMetadata != 16 || !(MariaDBStmtBulk | MariaDBProgress).Has(MariaDBProgress) {
		t.Error("MariaDB's flags")
	}
}
