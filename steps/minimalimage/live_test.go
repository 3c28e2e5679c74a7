package minimalimage

import (
	"testing"

	"road/internal/app"

	"github.com/google/go-cmp/cmp"
)

// TestLive has only those variables stand as they do in the Dockerfile that
// come from its own ARGs, and have the value that these come to.
func TestLive(t *testing.T) {
	for lines, c := range map[string]struct {
		env  []string
		want map[string]string
	}{
		"ARG V=1\nENV X=v$V Y=y":          {[]string{"X=v1", "Y=y"}, map[string]string{"X": "v$V"}},
		"ARG V=1\nENV X=\"v ${V}\"":       {[]string{"X=v 1"}, map[string]string{"X": `"v ${V}"`}},
		"ARG V\nENV X=$V":                 {[]string{"X=0"}, map[string]string{"X": "$V"}},
		"ARG G\nENV X=$G":                 {[]string{"X=top"}, map[string]string{"X": "$G"}},
		"ARG A=1 B=2\nENV X=$A.$B":        {[]string{"X=1.2"}, map[string]string{"X": "$A.$B"}},
		"ARG V=1\nENV  V=$V":              {[]string{"V=1"}, map[string]string{"V": "$V"}},
		"ARG V=1\nENV V=$V":               {[]string{"V=7"}, nil},
		"ARG V=1\nENV X=$V":               {[]string{"X=7", "V=7"}, nil},
		"ARG V=1\nENV X='$V'":             {[]string{"X=$V"}, nil},
		"ARG V=1\nENV W='X=$V '":          {[]string{"X=1", "W=X=$V "}, nil},
		"ARG V=1\nENV X=$V\nENV X=2":      {[]string{"X=2"}, nil},
		"ENV X=$V\nARG V=1":               {[]string{"X="}, nil},
		"ENV P=1\nENV X=$P":               {[]string{"P=1", "X=1"}, nil},
		"ARG V=1\nENV PATH=/opt/$V:$PATH": {[]string{"PATH=/opt/1:/bin"}, nil},
		"ARG V=1\nENV V=2\nENV X=$V":      {[]string{"V=2", "X=2"}, nil},
		"ARG V=1\nENV X=${V:+set}":        {[]string{"X=set"}, map[string]string{"X": "${V:+set}"}},
	} {
		a := load(t, "ARG G=top\nFROM debian:trixie-slim\n"+lines+"\n", "", app.ImageFacts{Env: c.env}, app.SeenInside{})
		got := targets(a)[0].live(c.env)
		if len(c.want) == 0 && len(got) == 0 {
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", lines, diff)
		}
	}
}
