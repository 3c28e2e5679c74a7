// Package filter computes with system call filters in the form in which OCI
// runtimes read them.
package filter

import (
	"maps"
	"slices"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/audit"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Logging gives a filter that logs all that f allows.
func Logging(f *specs.LinuxSeccomp) *specs.LinuxSeccomp {
	l := *f
	l.Syscalls = slices.Clone(f.Syscalls)
	for i := range l.Syscalls {
		if l.Syscalls[i].Action == specs.ActAllow {
			l.Syscalls[i].Action = specs.ActLog
		}
	}
	return &l
}

// Rules gives what a filter says beyond names: rules with arguments for names
// that it has in no rule without, and refusals with an answer of their own.
func Rules(f *specs.LinuxSeccomp) []app.SysCallRule {
	free := freeNames(f)
	var rules []app.SysCallRule
	for _, s := range f.Syscalls {
		r := app.SysCallRule{ErrnoRet: s.ErrnoRet, Action: string(s.Action)}
		if allows(s.Action) {
			r.Action = string(specs.ActAllow)
			if len(s.Args) == 0 {
				continue
			}
		}
		for _, n := range s.Names {
			if !free[n] {
				r.Names = append(r.Names, n)
			}
		}
		for _, a := range s.Args {
			r.Args = append(r.Args, app.SysCallArg{Index: a.Index, Value: a.Value, ValueTwo: a.ValueTwo, Op: string(a.Op)})
		}
		if len(r.Names) > 0 {
			rules = append(rules, r)
		}
	}
	return rules
}

// allows says whether a call with that action is made.
func allows(a specs.LinuxSeccompAction) bool { return a == specs.ActAllow || a == specs.ActLog }

// freeNames gives the names that a filter allows whatever their arguments: where
// it allows what it does not name, of the known ones all that no rule refuses.
func freeNames(f *specs.LinuxSeccomp) map[string]bool {
	free := map[string]bool{}
	if allows(f.DefaultAction) {
		free = maps.Clone(audit.Known())
		for _, s := range f.Syscalls {
			if !allows(s.Action) {
				for _, n := range s.Names {
					delete(free, n)
				}
			}
		}
		return free
	}
	for _, s := range f.Syscalls {
		if allows(s.Action) && len(s.Args) == 0 {
			for _, n := range s.Names {
				free[n] = true
			}
		}
	}
	return free
}

// Within leaves out the names that a filter allows in no case: an earlier run had
// capabilities, which it depends on.
func Within(names []string, f *specs.LinuxSeccomp) []string {
	if f == nil {
		return names
	}
	allowed := map[string]bool{}
	for _, s := range f.Syscalls {
		for _, n := range s.Names {
			allowed[n] = allowed[n] || allows(s.Action)
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return !allowed[n] })
}

// Count counts the names that a filter allows.
func Count(f *specs.LinuxSeccomp) sandbox.Filter {
	known := audit.Known()
	c := sandbox.Filter{Known: len(known), Allowed: len(known)}
	if f == nil {
		return c
	}
	free := freeNames(f)
	partly := map[string]bool{}
	for _, s := range f.Syscalls {
		for _, n := range s.Names {
			if !free[n] && known[n] && (allows(s.Action) || allows(f.DefaultAction) && len(s.Args) > 0) {
				partly[n] = true
			}
		}
	}
	for _, s := range f.Syscalls {
		for _, n := range s.Names {
			if allows(f.DefaultAction) && !allows(s.Action) && len(s.Args) == 0 {
				delete(partly, n) // refused whatever its arguments
			}
		}
	}
	c.Partly, c.Allowed = len(partly), len(partly)
	for n := range free {
		if known[n] {
			c.Allowed++
		}
	}
	return c
}

// Join gives a filter that allows what f does and, as far as whole allows them,
// names.
func Join(f, whole *specs.LinuxSeccomp, names []string) (joined *specs.LinuxSeccomp, more []string) {
	free := freeNames(f)
	var plain, lacks []string
	for _, n := range names {
		if !free[n] {
			lacks = append(lacks, n)
		}
	}
	freely := freeNames(whole)
	j := *f
	j.Syscalls = slices.Clone(f.Syscalls)
	for _, n := range lacks {
		if freely[n] {
			plain = append(plain, n)
		}
	}
	if len(plain) > 0 {
		j.Syscalls = append(without(j.Syscalls, plain), specs.LinuxSyscall{Names: plain, Action: specs.ActAllow})
	}
	for _, s := range whole.Syscalls {
		if !allows(s.Action) || len(s.Args) == 0 {
			continue
		}
		for _, n := range s.Names {
			if slices.Contains(lacks, n) && !freely[n] && !mentions(f, n) {
				j.Syscalls = append(j.Syscalls, specs.LinuxSyscall{Names: []string{n}, Action: specs.ActAllow, Args: s.Args})
				plain = append(plain, n)
			}
		}
	}
	slices.Sort(plain)
	return &j, slices.Compact(plain)
}

// mentions says whether a filter has a rule for a name.
func mentions(f *specs.LinuxSeccomp, name string) bool {
	return slices.ContainsFunc(f.Syscalls, func(s specs.LinuxSyscall) bool { return slices.Contains(s.Names, name) })
}

// without takes names out of rules: two rules of one name, one with arguments and
// one without, would contradict each other.
func without(rules []specs.LinuxSyscall, names []string) []specs.LinuxSyscall {
	var out []specs.LinuxSyscall
	for _, r := range rules {
		r.Names = slices.DeleteFunc(slices.Clone(r.Names), func(n string) bool { return slices.Contains(names, n) })
		if len(r.Names) > 0 {
			out = append(out, r)
		}
	}
	return out
}
