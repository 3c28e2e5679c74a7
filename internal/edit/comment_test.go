package edit

import (
	"slices"
	"strings"
	"testing"

	"road/internal/app"
)

// lostComments names the comments of before that after lacks, each as often as it
// is missing. What a comment is, it finds out by taking it away: a file means the
// same without it.
func lostComments(before, after string) (lost []string) {
	had, has := meaningless(before), meaningless(after)
	for _, c := range had {
		if i := slices.Index(has, c); i >= 0 {
			has = slices.Delete(has, i, i+1)
		} else {
			lost = append(lost, c)
		}
	}
	return lost
}

// meaningless gives what stands from a "#" to the end of its line and can be left
// out.
func meaningless(s string) (out []string) {
	docs, err := app.Documents([]byte(s))
	if err != nil {
		return nil
	}
	for i := 0; i < len(s); i++ {
		if s[i] != '#' {
			continue
		}
		end := newText([]byte(s)).lineEnd(i)
		less, err := app.Documents([]byte(s[:i] + s[end:]))
		if err != nil || !slices.EqualFunc(docs, less, same) {
			continue
		}
		out = append(out, strings.TrimSpace(s[i:end]))
		i = end
	}
	return out
}

// What takes values out or puts others in their place keeps the comments that stand
// among them.
func TestCommentsStay(t *testing.T) {
	pod := func(s string) string { return "kind: Pod\nspec:\n" + s }
	for name, c := range map[string]struct {
		before string
		set    Set
		want   string
	}{
		"the only key": {
			pod("  securityContext:\n    # uid of the NFS export\n    runAsUser: 1000\n  hostUsers: false\n"),
			Set{Path: app.Path{"spec", "securityContext", "runAsUser"}},
			pod("  securityContext: {}\n    # uid of the NFS export\n  hostUsers: false\n"),
		},
		"the only key, comments on the lines": {
			pod("  securityContext: # who\n    # above\n    runAsUser: 1000 # behind\n  hostUsers: false\n"),
			Set{Path: app.Path{"spec", "securityContext", "runAsUser"}},
			pod("  securityContext: {} # who\n    # above\n    # behind\n  hostUsers: false\n"),
		},
		"a list for a list": {
			pod("  drop:\n  # all of these\n  - NET_RAW # arp spoofing\n    # kept off since the incident\n  - SYS_ADMIN\n  add: []\n"),
			Set{Path: app.Path{"spec", "drop"}, Value: []any{"ALL"}},
			pod("  drop:\n  # all of these\n  # arp spoofing\n  # kept off since the incident\n  - ALL\n  add: []\n"),
		},
		"a mapping for an item": {
			pod("  list:\n  - a: 1 # one\n    b: 2\n"),
			Set{Path: app.Path{"spec", "list", 0}, Value: Map{{"c", 3}}},
			pod("  list:\n  # one\n  - c: 3\n"),
		},
		"a word for a list": {
			pod("  drop:\n  - NET_RAW # arp spoofing\n  - SYS_ADMIN # mount\n  add: []\n"),
			Set{Path: app.Path{"spec", "drop"}, Value: "ALL"},
			pod("  drop: ALL\n  # arp spoofing\n  # mount\n  add: []\n"),
		},
		"a key with what is below it": {
			pod("  a: |\n    text\n  b: # of b\n      # inside\n    - c # of c\n  d: 1\n"),
			Set{Path: app.Path{"spec", "b"}},
			pod("  a: |\n    text\n  # of b\n  # inside\n  # of c\n  d: 1\n"),
		},
		"the last key of a file": {
			"a: 1\nb: 2 # two",
			Set{Path: app.Path{"b"}},
			"a: 1\n# two",
		},
		"a key behind a dash": {
			pod("  list:\n  - a: # one\n      x: 1 # two\n    # of b\n    b: 2\n"),
			Set{Path: app.Path{"spec", "list", 0, "a"}},
			pod("  list:\n  # one\n  # two\n  # of b\n  - b: 2\n"),
		},
		"an entry between braces": {
			pod("  a: {\n    b: 1, # one\n    c: 2, # two\n    d: 3 # three\n  }\n"),
			Set{Path: app.Path{"spec", "a", "c"}},
			pod("  a: {\n    b: 1, # one\n    # two\n    d: 3 # three\n  }\n"),
		},
		"the last entry between braces": {
			pod("  a: {\n    b: 1, # one\n    c: 2 # two\n  }\n"),
			Set{Path: app.Path{"spec", "a", "c"}},
			pod("  a: {\n    b: 1 # one\n    # two\n  }\n"),
		},
		"the first entry between braces": {
			pod("  a: { b: 1, # one\n    c: 2 # two\n  }\n"),
			Set{Path: app.Path{"spec", "a", "b"}},
			pod("  # one\n  a: { c: 2 # two\n  }\n"),
		},
		"braces that hold a comment alone": {
			pod("  a: { # none\n  }\n  b: 1\n"),
			Set{Path: app.Path{"spec", "a", "c"}, Value: true},
			pod("  a:\n    # none\n    c: true\n  b: 1\n"),
		},
		"text over lines": {
			pod("  a: | # why\n    text # no comment\n  b: 1\n"),
			Set{Path: app.Path{"spec", "a"}, Value: "x"},
			pod("  # why\n  a: x\n  b: 1\n"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, refused := Apply(Files{"x.yaml": []byte(c.before)}, []Edit{{File: "x.yaml", Set: &c.set}})
			if got := string(out["x.yaml"]); len(refused) > 0 || got != c.want {
				t.Errorf("got %v\n%s\nwant\n%s", refused, got, c.want)
			}
			if lost := lostComments(c.before, c.want); len(lost) > 0 {
				t.Errorf("the test itself loses %q", lost)
			}
		})
	}
}
