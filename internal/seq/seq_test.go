package seq

import "testing"

func TestOrderHoldsAcrossTheWrap(t *testing.T) {
	tests := []struct {
		name   string
		a, b   Num
		before bool
		to     int
	}{
		{"equal", 5, 5, false, 0},
		{"plain", 5, 6, true, 1},
		{"plain, reversed", 6, 5, false, -1},
		{"over the wrap", 0xffffffff, 0, true, 1},
		{"over the wrap, reversed", 0, 0xffffffff, false, -1},
		{"far over the wrap", 0xfffffff0, 0x10, true, 0x20},
		{"almost half the space", 0, 0x7fffffff, true, 0x7fffffff},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.a.Before(tt.b); got != tt.before {
				t.Errorf("%v.Before(%v) = %v", tt.a, tt.b, got)
			}
			if got := tt.b.After(tt.a); got != tt.before {
				t.Errorf("%v.After(%v) = %v", tt.b, tt.a, got)
			}
			if got := tt.a.To(tt.b); got != tt.to {
				t.Errorf("%v.To(%v) = %d, want %d", tt.a, tt.b, got, tt.to)
			}
			if got := tt.a.Add(tt.to); got != tt.b {
				t.Errorf("%v.Add(%d) = %v, want %v", tt.a, tt.to, got, tt.b)
			}
			want := tt.a
			if tt.before {
				want = tt.b
			}
			if got := Max(tt.a, tt.b); got != want {
				t.Errorf("Max(%v, %v) = %v, want %v", tt.a, tt.b, got, want)
			}
			if tt.a.Before(tt.b) || tt.b.Before(tt.a) {
				if got := Min(tt.a, tt.b); got == want {
					t.Errorf("Min(%v, %v) = %v", tt.a, tt.b, got)
				}
				if got := Min(tt.b, tt.a); got == want {
					t.Errorf("Min(%v, %v) = %v", tt.b, tt.a, got)
				}
			}
		})
	}
}
