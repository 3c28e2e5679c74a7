package minimalimage

import (
	"regexp"
	"slices"
	"strings"
)

var (
	envPair = regexp.MustCompile(`([A-Za-z_]\w*)=((?:"[^"]*"|[^\s"'])*)(?:\s|$)`)
	argUse  = regexp.MustCompile(`\$\{?([A-Za-z_]\w*)`)
)

// live gives the variables that the Dockerfile sets from its own ARGs, as they
// stand there: --build-arg may give another value tomorrow. Those that use
// anything else are not among them, nor are those that are set more than once.
func (t *target) live() map[string]string {
	args, sets, out := map[string]bool{}, map[string]int{}, map[string]string{}
	for _, s := range slices.Backward(t.file.Chain(t.stage)) {
		for _, in := range s.Instructions {
			switch in.Name {
			case "ARG":
				name, _, _ := strings.Cut(in.Args, "=")
				args[name] = true
			case "ENV":
				for _, m := range envPair.FindAllStringSubmatch(in.Args, -1) {
					sets[m[1]]++
					if uses := argUse.FindAllStringSubmatch(m[2], -1); len(uses) > 0 && !slices.ContainsFunc(uses, func(u []string) bool { return !args[u[1]] }) {
						out[m[1]] = m[2]
					}
				}
			}
		}
	}
	for name, value := range out {
		uses := argUse.FindAllStringSubmatch(value, -1)
		if sets[name] > 1 || slices.ContainsFunc(uses, func(u []string) bool { return u[1] != name && sets[u[1]] > 0 }) {
			delete(out, name)
		}
	}
	return out
}
