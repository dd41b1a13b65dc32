package mysql

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
)

const (
	testSalt  = "\x2a\x5b\x6c\x7d\x01\x02\x03\x04\x11\x12\x13\x14\x21\x22\x23\x24\x31\x32\x33\x34"
	testNonce = "0123456789abcdefghijklmnopqrstuv" // of ed25519 and parsec
)

// testKey is a server's RSA key.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func publicPEM(tb testing.TB, key any) string {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// decrypt is the server's side of encryptPassword.
func decrypt(t *testing.T, response []byte) string {
	t.Helper()
	b, err := rsa.DecryptOAEP(sha1.New(), nil, testKey(), response, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= testSalt[i%len(testSalt)]
	}
	return string(b)
}

// An authTestStep is a packet of the server and what the client's side makes of it.
type authTestStep struct {
	packet string
	answer string // "-": none; "rsa": the password for testKey
	err    string // a part of it
}

func TestAuthExchange(t *testing.T) {
	key := publicPEM(t, &testKey().PublicKey)
	hexed := func(s string) string {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	// By Python's hashlib.
	sha2Secret := hexed("f5d936383ed17b2801d46cf945b72138631a3a62d20987277a907832d9888187")
	sha2Unicode := hexed("3dcfea37606689689195f67313e51eb14785f5c33c49d41deb1673d9b044b962")
	native := hexed("25d9a1f9bfc9cca6c29395762efe91d34f72ffa2")
	for _, tt := range []struct {
		name       string
		options    AuthOptions
		plugin     string
		nonce      string // testSalt if it is empty
		password   string
		want, err  string // of Begin
		steps      []authTestStep
		wantProven bool
	}{
		{name: "native", plugin: PluginNativePassword, password: "secret", want: native},
		{name: "native, with a NUL", plugin: PluginNativePassword, nonce: testSalt + "\x00", password: "secret", want: native},
		{name: "native, empty", plugin: PluginNativePassword, want: ""},
		{name: "native, short nonce", plugin: PluginNativePassword, nonce: testSalt[1:], password: "secret", err: "19 bytes, want 20"},
		{name: "native, long nonce", plugin: PluginNativePassword, nonce: testSalt + "x", password: "secret", err: "21 bytes, want 20"},
		{name: "native, short nonce and no password", plugin: PluginNativePassword, nonce: "x", err: "want 20"},
		{name: "native, more", plugin: PluginNativePassword, password: "secret", want: native,
			steps: []authTestStep{{packet: "\x01\x04", err: "where it has to say OK or ERR"}}},

		{name: "sha2, cached", plugin: PluginCachingSHA2Password, password: "secret", want: sha2Secret,
			steps: []authTestStep{{packet: "\x01\x03", answer: "-"}, {packet: "\x01\x03", err: "OK or ERR"}}, wantProven: true},
		{name: "sha2, cold", plugin: PluginCachingSHA2Password, nonce: testSalt + "\x00", password: "secret", want: sha2Secret,
			steps: []authTestStep{{packet: "\x01\x04", answer: "\x02"}, {packet: "\x01" + key, answer: "rsa"}, {packet: "\x01" + key, err: "OK or ERR"}}},
		{name: "sha2, cold, of a server that does not escape", plugin: PluginCachingSHA2Password, password: "secret", want: sha2Secret,
			steps: []authTestStep{{packet: "\x04", answer: "\x02"}, {packet: key, answer: "rsa"}}},
		{name: "sha2, cold, key given", options: AuthOptions{PublicKey: &testKey().PublicKey}, plugin: PluginCachingSHA2Password, password: "secret", want: sha2Secret,
			steps: []authTestStep{{packet: "\x01\x04", answer: "rsa"}}},
		{name: "sha2, not ASCII", plugin: PluginCachingSHA2Password, password: "pässwört 秘密", want: sha2Unicode,
			steps: []authTestStep{{packet: "\x01\x04", answer: "\x02"}, {packet: "\x01" + key, answer: "rsa"}}},
		{name: "sha2, longer than the nonce", options: AuthOptions{PublicKey: &testKey().PublicKey}, plugin: PluginCachingSHA2Password, password: strings.Repeat("pass", 53), want: "*",
			steps: []authTestStep{{packet: "\x01\x04", answer: "rsa"}}},
		{name: "sha2, too long for the key", options: AuthOptions{PublicKey: &testKey().PublicKey}, plugin: PluginCachingSHA2Password, password: strings.Repeat("p", 214), want: "*",
			steps: []authTestStep{{packet: "\x01\x04", err: "encrypt the password of 214 bytes with the RSA key of 2048 bits"}}},
		{name: "sha2, empty", plugin: PluginCachingSHA2Password, want: "",
			steps: []authTestStep{{packet: "\x01\x04", err: "OK or ERR"}}},
		{name: "sha2, key before its request", plugin: PluginCachingSHA2Password, password: "secret", want: sha2Secret,
			steps: []authTestStep{{packet: "\x01" + key, err: "want 1"}}},
		{name: "sha2, no key", plugin: PluginCachingSHA2Password, password: "secret", want: sha2Secret,
			steps: []authTestStep{{packet: "\x01\x04", answer: "\x02"}, {packet: "\x01", err: "no RSA key"}}},
		{name: "sha2, garbage for the key", plugin: PluginCachingSHA2Password, password: "secret", want: sha2Secret,
			steps: []authTestStep{{packet: "\x01\x04", answer: "\x02"}, {packet: "\x01garbage", err: "it is no PEM"}, {packet: "\x01" + key, err: "OK or ERR"}}},
		{name: "sha2, neither 03 nor 04", plugin: PluginCachingSHA2Password, password: "secret", want: sha2Secret,
			steps: []authTestStep{{packet: "\x01\x05", err: "0x05, want 03 or 04"}}},
		{name: "sha2, empty packet", plugin: PluginCachingSHA2Password, password: "secret", want: sha2Secret,
			steps: []authTestStep{{packet: "", err: "empty"}}},
		{name: "sha2, second factor", plugin: PluginCachingSHA2Password, password: "secret", want: sha2Secret,
			steps: []authTestStep{{packet: "\x01\x03", answer: "-"}, {packet: "\x02authentication_webauthn_client\x00...", err: `second authentication factor ("authentication_webauthn_client")`}}, wantProven: true},

		{name: "sha256", plugin: PluginSHA256Password, password: "secret", want: "\x01",
			steps: []authTestStep{{packet: "\x01" + key, answer: "rsa"}}},
		{name: "sha256, key given", options: AuthOptions{PublicKey: &testKey().PublicKey}, plugin: PluginSHA256Password, password: "secret", want: "rsa",
			steps: []authTestStep{{packet: "\x01" + key, err: "OK or ERR"}}},
		{name: "sha256, too long for the key", options: AuthOptions{PublicKey: &testKey().PublicKey}, plugin: PluginSHA256Password, password: strings.Repeat("p", 300), err: "sha256_password: encrypt"},
		{name: "sha256, empty", plugin: PluginSHA256Password, want: "\x00"},
		{name: "sha256, no nonce", plugin: PluginSHA256Password, nonce: "\x00", password: "secret", err: "want 20"},

		{name: "ed25519, short nonce", plugin: PluginEd25519, nonce: testSalt, password: "secret", err: "20 bytes, want 32"},
		{name: "parsec, short nonce", plugin: PluginParsec, nonce: testSalt, password: "secret", err: "20 bytes, want 32"},
		{name: "parsec, no ext-salt", plugin: PluginParsec, nonce: testNonce, password: "secret", want: "",
			steps: []authTestStep{{packet: "\x01P", err: "another form"}}},
		{name: "parsec, another KDF", plugin: PluginParsec, nonce: testNonce, password: "secret", want: "",
			steps: []authTestStep{{packet: "\x01S\x00" + testSalt[:18], err: "another form"}}},
		{name: "parsec, too much work", plugin: PluginParsec, nonce: testNonce, password: "secret", want: "",
			steps: []authTestStep{{packet: "\x01P\x08" + testSalt[:18], err: "work factor is 8"}}},
		{name: "parsec, long salt", plugin: PluginParsec, nonce: testNonce, password: "secret", want: "",
			steps: []authTestStep{{packet: "\x01P\x00" + strings.Repeat("s", 65), err: "65 bytes"}}},

		{name: "clear", options: AuthOptions{Cleartext: true}, plugin: PluginClearPassword, nonce: "\x00", password: "secret", want: "secret\x00"},
		{name: "clear, empty", options: AuthOptions{Cleartext: true}, plugin: PluginClearPassword, want: "\x00"},
		{name: "clear, not allowed", plugin: PluginClearPassword, password: "secret", err: "--allow-cleartext-password"},
		{name: "old", plugin: PluginOldPassword, password: "secret", err: "before MySQL 4.1"},
		{name: "none", plugin: "", password: "secret", err: `the authentication plugin ""`},
		{name: "dialog", plugin: "dialog", password: "secret", err: `the authentication plugin "dialog", which is not spoken: on the target let it use caching_sha2_password`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.nonce == "" {
				tt.nonce = testSalt
			}
			check := func(what, got, want string) {
				t.Helper()
				switch want {
				case "*":
				case "rsa":
					if got := decrypt(t, []byte(got)); got != tt.password+"\x00" {
						t.Errorf("%s: the server reads %q", what, got)
					}
				default:
					if got != want {
						t.Errorf("%s: %x, want %x", what, got, want)
					}
				}
			}
			x, response, err := tt.options.Begin(tt.plugin, []byte(tt.nonce), tt.password)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				var unsupported UnsupportedPluginError
				if errors.As(err, &unsupported) == tt.options.Supports(tt.plugin) {
					t.Errorf("error %T, and Supports says %v", err, tt.options.Supports(tt.plugin))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			check("Begin", string(response), tt.want)
			for _, s := range tt.steps {
				response, answer, err := x.More([]byte(s.packet))
				if s.err != "" {
					if err == nil || !strings.Contains(err.Error(), s.err) {
						t.Errorf("%.20q: error %v, want %q", s.packet, err, s.err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%.20q: %v", s.packet, err)
				}
				if answer == (s.answer == "-") {
					t.Fatalf("%.20q: answer %v", s.packet, answer)
				}
				if answer {
					check("More", string(response), s.answer)
				}
			}
			if x.proven != tt.wantProven {
				t.Errorf("proven is %v", x.proven)
			}
		})
	}
	if _, _, err := new(AuthExchange).More([]byte("\x01\x04")); err == nil {
		t.Error("the zero exchange takes a packet")
	}
}

// MariaDB 10.11 and 11.8 store these for the passwords (mysql.global_priv); the
// standard library verifies what the servers verify.
func TestSignEd25519(t *testing.T) {
	for password, stored := range map[string]string{
		"secret": "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY",
		"":       "4LH+dBF+G5W2CKTyId8xR3SyDqZoQjUNUVNxx8aWbG4",
	} {
		public, err := base64.RawStdEncoding.DecodeString(stored)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := signEd25519(password, []byte(testNonce))
		if err != nil {
			t.Fatal(err)
		}
		if !ed25519.Verify(public, []byte(testNonce), signature) {
			t.Errorf("%q: the signature is wrong", password)
		}
	}
}

func TestParsec(t *testing.T) {
	var o AuthOptions
	// As MariaDB 11.8 stored them for password('secret') and password('').
	for _, tt := range []struct{ password, salt, stored string }{
		{"secret", "GmzPcoAE+jlHy2iZgqC2VY/t", "I9vjoKwI+o4ZZ8al8xgew0xUI6+am7m3pI2Ayqy+M+U"},
		{"", "V7HIugfQcUTsDv5XYicdVWxU", "OwlP0dIbDzvT2TDhwxQSbcbZ9s7aoZlsp7deJ3Ppvp4"},
	} {
		salt, err := base64.RawStdEncoding.DecodeString(tt.salt)
		if err != nil {
			t.Fatal(err)
		}
		public, err := base64.RawStdEncoding.DecodeString(tt.stored)
		if err != nil {
			t.Fatal(err)
		}
		var last []byte
		for range 2 { // the second from the cache
			x, response, err := o.Begin(PluginParsec, []byte(testNonce), tt.password)
			if err != nil || len(response) != 0 {
				t.Fatalf("%x, %v", response, err)
			}
			response, answer, err := x.More(append([]byte("\x01P\x00"), salt...))
			if err != nil || !answer || len(response) != 96 {
				t.Fatalf("%x, %v, %v", response, answer, err)
			}
			if !ed25519.Verify(public, append([]byte(testNonce), response[:32]...), response[32:]) {
				t.Errorf("%q: the signature is wrong", tt.password)
			}
			if bytes.Equal(last, response) {
				t.Error("the client's nonce is no nonce")
			}
			last = response
		}
	}
	if len(o.parsecKeys) != 2 {
		t.Errorf("%d keys are kept, want 2", len(o.parsecKeys))
	}
}

func TestParsecKeysAreBounded(t *testing.T) {
	o := AuthOptions{parsecKeys: make(parsecKeys)}
	for i := range parsecKeysLimit {
		o.parsecKeys[parsecAccount{"", string(rune(i))}] = nil
	}
	if _, err := o.parsecKey("secret", []byte("P\x00salt")); err != nil {
		t.Fatal(err)
	}
	if n := len(o.parsecKeys); n > parsecKeysLimit {
		t.Errorf("%d keys are kept, want at most %d", n, parsecKeysLimit)
	}
}

func TestParsePublicKey(t *testing.T) {
	good := publicPEM(t, &testKey().PublicKey)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	bits := func(n uint) *rsa.PublicKey {
		return &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), int(n)-1, 1), E: 65537}
	}
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&testKey().PublicKey)}))
	for _, tt := range []struct{ name, pem, err string }{
		{"good", good, ""},
		{"with a NUL behind it", good + "\x00", ""},
		{"PKCS #1", pkcs1, ""},
		{"1024 bits", publicPEM(t, bits(1024)), ""},
		{"8192 bits", publicPEM(t, bits(8192)), ""},
		{"1023 bits", publicPEM(t, bits(1023)), "1023 bits"},
		{"8193 bits", publicPEM(t, bits(8193)), "8193 bits"},
		{"16384 bits", publicPEM(t, bits(16384)), "16384 bits"},
		{"elliptic curve", publicPEM(t, &ec.PublicKey), "*ecdsa.PublicKey"},
		{"empty", "", "no PEM"},
		{"cut short", good[:200], "no PEM"},
		{"private", strings.ReplaceAll(good, "PUBLIC", "PRIVATE"), `"PRIVATE KEY"`},
		{"garbage inside", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "parse the RSA key"},
		{"huge", strings.Repeat(good, 20), "too many"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, err := ParsePublicKey([]byte(tt.pem))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || key == nil {
				t.Fatal(err)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	var o AuthOptions
	after := func(plugin string, packets ...string) *AuthExchange {
		x, _, err := o.Begin(plugin, []byte(testSalt), "secret")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packets {
			if _, _, err := x.More([]byte(p)); err != nil {
				t.Fatal(err)
			}
		}
		return &x
	}
	key := "\x01" + publicPEM(t, &testKey().PublicKey)
	for _, tt := range []struct {
		name string
		x    *AuthExchange
		code uint16
		want string // a part of it
		tls  bool
	}{
		{"require_secure_transport", after(PluginNativePassword), 3159, "require_secure_transport", true},
		{"no exchange", new(AuthExchange), 3159, "require_secure_transport", true},
		{"wrong password", after(PluginNativePassword), 1045, "", false},
		{"wrong password or REQUIRE SSL", after(PluginCachingSHA2Password, "\x01\x04", key), 1045, "", false},
		{"REQUIRE SSL", after(PluginCachingSHA2Password, "\x01\x03"), 1045, "the password is right", true},
		{"locked", after(PluginCachingSHA2Password, "\x01\x03"), 3118, "", false},
		{"no key", after(PluginCachingSHA2Password, "\x01\x04"), 1045, "has no RSA key", true},
		{"sha256, no key", after(PluginSHA256Password), 1045, "has no RSA key", true},
		{"unknown schema", after(PluginNativePassword), 1049, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, tls := tt.x.Explain(ServerError{Code: tt.code})
			if tls != tt.tls || !strings.Contains(text, tt.want) || (text == "") != (tt.want == "") {
				t.Errorf("%q, %v", text, tls)
			}
		})
	}
}

func FuzzAuthExchange(f *testing.F) {
	key := publicPEM(f, &testKey().PublicKey)
	f.Add(PluginCachingSHA2Password, []byte(testSalt), "secret", true, []byte("\x01\x04"), []byte("\x01"+key))
	f.Add(PluginSHA256Password, []byte(testSalt+"\x00"), "secret", false, []byte("\x01"+key), []byte(""))
	f.Add(PluginParsec, []byte(testNonce), "secret", false, []byte("\x01P\x00"+testSalt), []byte("\x02second\x00"))
	f.Add(PluginEd25519, []byte(testNonce), "", false, []byte("\x01\x03"), []byte("\x01\x03"))
	f.Add(PluginClearPassword, []byte{}, "secret", true, []byte("\xff\x15\x04#28000no"), []byte{0})
	f.Add("dialog", []byte{}, "secret", true, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, plugin string, nonce []byte, password string, clear bool, first, second []byte) {
		o := AuthOptions{Cleartext: clear}
		limit := max(len(password)+1, maxPublicKeyBits/8)
		x, response, err := o.Begin(plugin, nonce, password)
		if len(response) > limit {
			t.Fatalf("a response of %d bytes", len(response))
		}
		if err != nil {
			return
		}
		if !clear && len(password) > 0 && bytes.Contains(response, []byte(password)) && len(password) > 3 {
			t.Fatal("the password goes out as it is")
		}
		over := false
		for _, p := range [][]byte{first, second, first} {
			response, answer, err := x.More(p)
			if over && err == nil {
				t.Fatal("an exchange goes on behind its error")
			}
			over = over || err != nil
			if len(response) > limit || !answer && len(response) > 0 || err != nil && answer {
				t.Fatalf("a response of %d bytes, answer %v, error %v", len(response), answer, err)
			}
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add([]byte(publicPEM(f, &testKey().PublicKey)))
	f.Add([]byte("-----BEGIN RSA PUBLIC KEY-----\nMAYCAQMCAQM=\n-----END RSA PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := ParsePublicKey(b)
		if err != nil {
			return
		}
		if n := key.N.BitLen(); n < minPublicKeyBits || n > maxPublicKeyBits {
			t.Fatalf("a key of %d bits", n)
		}
		encryptPassword(key, "secret", []byte(testSalt)) // whatever the key is worth
	})
}

func BenchmarkParsecKey(b *testing.B) {
	for b.Loop() {
		var o AuthOptions
		if _, err := o.parsecKey("secret", []byte("P\x00"+testSalt)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncryptPassword(b *testing.B) {
	for b.Loop() {
		if _, err := encryptPassword(&testKey().PublicKey, "secret", []byte(testSalt)); err != nil {
			b.Fatal(err)
		}
	}
}
