package main

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"mrtecopy/internal/program/docstest"
)

func TestDocumentedFlags(t *testing.T) {
	docstest.Flags(t, "mrtecopy live", liveFlags())
}

// No text may speak of a flag that no program has.
func TestDocumentsNameNoOtherFlags(t *testing.T) {
	known := []string{"--help", "--version", "--ssl-mode" /* of the mysql client */}
	for _, command := range []string{"mrtecopy live", "intercept", "intercept route"} {
		for flag := range docstest.Documented(t, command) {
			known = append(known, "--"+flag)
		}
	}
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range regexp.MustCompile(`--[a-z][a-z-]*`).FindAllString(string(text), -1) {
		if !slices.Contains(known, flag) {
			t.Errorf("docs/operations.md speaks of %s, which is no flag", flag)
		}
	}
}
