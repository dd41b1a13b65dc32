package e2e

import (
	"testing"

	"mrtecopy/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }
