package ledger

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// section returns the part of docs/operations.md under a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(b), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/operations.md has no section %q", heading)
	}
	part, _, _ := strings.Cut(after, "\n## ")
	return part
}

// firstCells returns what stands in the first column of a section's table.
func firstCells(section string) (cells []string) {
	for line := range strings.Lines(section) {
		if first, ok := strings.CutPrefix(line, "| "); ok && !strings.HasPrefix(first, "---") {
			first, _, _ = strings.Cut(first, " |")
			cells = append(cells, first)
		}
	}
	return cells[1:] // less the heading
}

func TestDocumentedReasons(t *testing.T) {
	var want []string
	for r := None + 1; r < NumReasons; r++ {
		want = append(want, "`"+r.String()+"`")
	}
	got := firstCells(section(t, "Reasons"))
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("docs/operations.md explains %v, the program counts %v", got, want)
	}
}

func TestDocumentedSummary(t *testing.T) {
	var want []string
	var walk func(typ reflect.Type, prefix string)
	walk = func(typ reflect.Type, prefix string) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name := prefix + f.Tag.Get("json")
			if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[time.Time]() {
				walk(f.Type, name+".")
				continue
			}
			want = append(want, name)
		}
	}
	walk(reflect.TypeFor[Summary](), "")
	var got []string
	for _, cell := range firstCells(section(t, "The summary")) {
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			got = append(got, m[1])
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("docs/operations.md explains %v, the summary holds %v", got, want)
	}
}

func TestDocumentedColumns(t *testing.T) {
	var want []string
	for _, c := range columns {
		want = append(want, c.name)
	}
	got := strings.Split(strings.Join(firstCells(section(t, "The status line")), ", "), ", ")
	if !slices.Equal(got, want) {
		t.Errorf("docs/operations.md explains %v, the table has %v", got, want)
	}
}
