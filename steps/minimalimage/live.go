package minimalimage

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

var (
	pair   = regexp.MustCompile(`(?:^|\s)([A-Za-z_]\w*)(?:=((?:"[^"]*"|'[^']*'|[^\s"'])*))?`)
	argUse = regexp.MustCompile(`\$\{?([A-Za-z_]\w*)`)
	global = regexp.MustCompile(`(?mi)^[ \t]*(?:ARG[ \t]+(.*)|(FROM)[ \t].*)$`)
)

// live gives the variables of env that the Dockerfile sets from its own ARGs, as
// they stand there: --build-arg may give another value tomorrow. Those that use
// anything else are not among them, nor are those that are set more than once,
// or whose value in the image is not what the ARGs come to: that is another's.
func (t *target) live(env []string) map[string]string {
	args, sets, out := map[string]bool{}, map[string]int{}, map[string]string{}
	values := t.globals()
	for _, s := range slices.Backward(t.file.Chain(t.stage)) {
		for _, in := range s.Instructions {
			pairs := pair.FindAllStringSubmatch(in.Args, -1)
			switch in.Name {
			case "ARG":
				for _, m := range pairs {
					args[m[1]] = true
					t.argument(values, m)
				}
			case "ENV":
				for _, m := range pairs {
					sets[m[1]]++
					uses := argUse.FindAllStringSubmatch(m[2], -1)
					if len(uses) > 0 && !strings.Contains(m[2], "'") && !slices.ContainsFunc(uses, func(u []string) bool { return !args[u[1]] }) {
						out[m[1]] = m[2]
					}
				}
			}
		}
	}
	for name, value := range out {
		if sets[name] > 1 || t.another(name, value, sets, values, env) {
			delete(out, name)
		}
	}
	return out
}

// another says whether the variable has a value that does not come from the ARGs
// which stand for it.
func (t *target) another(name, value string, sets map[string]int, values map[string]string, env []string) bool {
	known := true
	comes := os.Expand(strings.ReplaceAll(value, `"`, ""), func(arg string) string {
		v, ok := values[arg]
		known = known && ok
		return v
	})
	for _, u := range argUse.FindAllStringSubmatch(value, -1) {
		if u[1] != name && (sets[u[1]] > 0 || slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, u[1]+"=") })) {
			return true // ENV goes before ARG
		}
	}
	return known && !slices.Contains(env, name+"="+comes)
}

// globals gives what the ARGs before the first FROM come to.
func (t *target) globals() map[string]string {
	values := map[string]string{}
	for _, line := range global.FindAllStringSubmatch(string(t.file.Content), -1) {
		if line[2] != "" {
			break
		}
		for _, m := range pair.FindAllStringSubmatch(line[1], -1) {
			t.argument(values, m)
		}
	}
	return values
}

// argument notes the value of an ARG, where it is known.
func (t *target) argument(values map[string]string, m []string) {
	if v, ok := t.image.Build.Args[m[1]]; ok {
		values[m[1]] = v
	} else if _, default_, has := strings.Cut(m[0], "="); has && !strings.ContainsAny(default_, "$'\\") {
		values[m[1]] = strings.ReplaceAll(default_, `"`, "")
	} else if has {
		delete(values, m[1])
	}
}
