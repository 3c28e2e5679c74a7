package minimalimage

import (
	"strings"
	"testing"
)

// show writes words with | between them, variables as <name>.
func show(words []word) string {
	var out []string
	for _, w := range words {
		var b strings.Builder
		for _, p := range w {
			switch {
			case p.name == "":
				b.WriteString(p.text)
			case p.fallback:
				b.WriteString("<" + p.name + " or " + p.text + ">")
			default:
				b.WriteString("<" + p.name + ">")
			}
		}
		out = append(out, b.String())
	}
	return strings.Join(out, "|")
}

// TestSplitLine reads what only starts a program, and refuses all that needs a
// shell: a wrong guess would start something else.
func TestSplitLine(t *testing.T) {
	for line, want := range map[string]string{
		`exec redis-server --port 6379`:   "redis-server|--port|6379",
		`nginx -g 'daemon off;'`:          "nginx|-g|daemon off;",
		`x "a b"c\ d '' "\$1 \x"`:         `x|a bc d||$1 \x`,
		`x "${A:?is not set}" $B-${C:-d}`: "x|<A>|<B>-<C or d>",
		`/bin/x --a="$A b"`:               "/bin/x|--a=<A> b",
		`exec`:                            "error",
		`a && b`:                          "error",
		`a; b`:                            "error",
		`a | b`:                           "error",
		`a > f`:                           "error",
		`a *.txt`:                         "error",
		`a $(b)`:                          "error",
		"a `b`":                           "error",
		"a \"`b`\"":                       "error",
		`a "$(b)"`:                        "error",
		`a ${B#x}`:                        "error",
		`a ${B:-$C}`:                      "error",
		`a $1`:                            "error",
		`A=1 b`:                           "error",
		`cd /x`:                           "error",
		`$A b`:                            "error",
		`a "b`:                            "error",
		`a 'b`:                            "error",
		`a # b`:                           "error",
		`a ~/b`:                           "error",
		"a\nb":                            "error",
		``:                                "error",
	} {
		words, err := splitLine(line)
		if want == "error" {
			if err == nil {
				t.Errorf("%q: %q, want an error", line, show(words))
			}
			continue
		}
		if err != nil || show(words) != want {
			t.Errorf("%q: %q, %v; want %q", line, show(words), err, want)
		}
	}
}
