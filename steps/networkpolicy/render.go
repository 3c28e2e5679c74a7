package networkpolicy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// render writes a policy as a manifest.
func (p *policy) render(b *strings.Builder) {
	comment(b, "", p.comment)
	fmt.Fprintf(b, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: %s\n", scalar(p.name))
	if p.namespace != "" {
		fmt.Fprintf(b, "  namespace: %s\n", scalar(p.namespace))
	}
	b.WriteString("spec:\n")
	if p.others != nil {
		b.WriteString("  podSelector:\n    matchExpressions:\n")
		for _, k := range slices.Sorted(maps.Keys(p.others)) {
			fmt.Fprintf(b, "    - key: %s\n      operator: NotIn\n      values:\n", scalar(k))
			for _, v := range p.others[k] {
				fmt.Fprintf(b, "      - %s\n", scalar(v))
			}
		}
	} else if len(p.selector) == 0 {
		b.WriteString("  podSelector: {}\n")
	} else {
		b.WriteString("  podSelector:\n")
		matchLabels(b, "    ", p.selector)
	}
	b.WriteString("  policyTypes:\n")
	for _, d := range []struct {
		about bool
		name  string
	}{{p.ingress, "Ingress"}, {p.egress, "Egress"}} {
		if d.about {
			fmt.Fprintf(b, "  - %s\n", d.name)
		}
	}
	if p.comment != "" {
		return
	}
	if p.ingress {
		rules(b, "ingress", "from", p.in, "Nobody was seen to call it.")
	}
	if p.egress {
		rules(b, "egress", "to", p.out, "It was seen to call nobody, and to ask for no name.")
	}
}

// rules writes the rules of one direction, or why there are none.
func rules(b *strings.Builder, direction, peers string, list []rule, none string) {
	if len(list) == 0 {
		comment(b, "  ", none)
		fmt.Fprintf(b, "  %s: []\n", direction)
		return
	}
	fmt.Fprintf(b, "  %s:\n", direction)
	for _, r := range list {
		comment(b, "  ", r.comment)
		lead := "  - "
		if len(r.peers) > 0 {
			fmt.Fprintf(b, "%s%s:\n", lead, peers)
			lead = "    "
		}
		for _, p := range r.peers {
			p.render(b)
		}
		fmt.Fprintf(b, "%sports:\n", lead)
		for _, p := range r.ports {
			fmt.Fprintf(b, "    - protocol: %s\n      port: %d\n", p.protocol, p.number)
		}
	}
}

func (p peer) render(b *strings.Builder) {
	lead := "    - "
	if p.block != "" {
		fmt.Fprintf(b, "%sipBlock:\n        cidr: %s\n", lead, scalar(p.block))
		if len(p.except) > 0 {
			b.WriteString("        except:\n")
		}
		for _, x := range p.except {
			fmt.Fprintf(b, "        - %s\n", scalar(x))
		}
		return
	}
	if p.namespace != "" {
		fmt.Fprintf(b, "%snamespaceSelector:\n", lead)
		matchLabels(b, "        ", map[string]string{"kubernetes.io/metadata.name": p.namespace})
		lead = "      "
	}
	if len(p.pods) == 0 {
		fmt.Fprintf(b, "%spodSelector: {}\n", lead)
		return
	}
	fmt.Fprintf(b, "%spodSelector:\n", lead)
	matchLabels(b, "        ", p.pods)
}

func matchLabels(b *strings.Builder, indent string, labels map[string]string) {
	fmt.Fprintf(b, "%smatchLabels:\n", indent)
	for _, k := range sortedKeys(labels) {
		fmt.Fprintf(b, "%s  %s: %s\n", indent, scalar(k), scalar(labels[k]))
	}
}

// comment writes text in lines of a good length.
func comment(b *strings.Builder, indent, text string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(indent)+len(line)+len(word) > 76 {
			fmt.Fprintf(b, "%s#%s\n", indent, line)
			line = ""
		}
		line += " " + word
	}
	if line != "" {
		fmt.Fprintf(b, "%s#%s\n", indent, line)
	}
}

// words mean something else than themselves in YAML.
var words = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan"}

// scalar writes a text so that YAML reads the same text.
func scalar(s string) string {
	letter := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
	plain := s != "" && letter(rune(s[0])) && !slices.Contains(words, strings.ToLower(s))
	for _, r := range s {
		plain = plain && (letter(r) || r >= '0' && r <= '9' || strings.ContainsRune("-_./", r))
	}
	if plain || isBlock(s) {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// isBlock says whether s is digits, dots and one slash: what YAML takes for a
// text all the same.
func isBlock(s string) bool {
	return strings.Count(s, ".") == 3 && strings.Count(s, "/") == 1 && strings.Trim(s, "0123456789./") == ""
}
