package admission

import (
	"fmt"
	"strings"
	"sync"

	"road/internal/app"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// labelPrefix is what the labels of Pod Security begin with.
const labelPrefix = "pod-security.kubernetes.io/"

// evaluator holds Pod Security's own rules, made by the first who asks.
var evaluator = sync.OnceValues(func() (policy.Evaluator, error) { return policy.NewEvaluator(policy.DefaultChecks(), nil) })

// level gives the strictest level that every pod of the application in the
// namespace passes, and what keeps it from the next one.
func (p *place) level() (level api.Level, why string) {
	for _, level := range []api.Level{api.LevelRestricted, api.LevelBaseline} {
		refused := ""
		for _, w := range p.workloads {
			if refused = p.violates(w, level); refused != "" {
				why = w.ID() + ": " + refused
				break
			}
		}
		if refused == "" {
			return level, why
		}
	}
	return api.LevelPrivileged, why
}

// violates says what a workload's pods lack for a level, "" where nothing.
func (p *place) violates(w *app.Workload, level api.Level) string {
	rules, err := evaluator()
	if err != nil {
		return err.Error()
	}
	meta := w.Meta
	if meta == nil {
		meta = &metav1.ObjectMeta{}
	}
	at := api.LevelVersion{Level: level, Version: p.version()}
	if r := policy.AggregateCheckResults(rules.EvaluatePod(at, meta, w.Pod)); !r.Allowed {
		return fmt.Sprintf("violates PodSecurity %q: %s", at.String(), r.ForbiddenDetail())
	}
	return ""
}

// wanted gives the labels that a namespace whose pods pass a level gets, in the
// order in which they are written. What would be refused at the next level is
// always warned of.
func (p *place) wanted(level api.Level) [][2]string {
	version := p.version().String()
	return [][2]string{
		{api.EnforceLevelLabel, string(level)}, {api.EnforceVersionLabel, version},
		{api.AuditLevelLabel, string(api.LevelRestricted)}, {api.AuditVersionLabel, version},
		{api.WarnLevelLabel, string(api.LevelRestricted)}, {api.WarnVersionLabel, version},
	}
}

// version is that of the rules which the labels pin: the target's own, for which
// Kubernetes has rules since 1.23.
func (p *place) version() api.Version {
	minor := p.target.Minor
	if minor == 0 {
		minor = app.Latest
	}
	return api.MajorMinorVersion(1, minor)
}

// missing names the labels that are not as they should be: a level below the
// wanted one, or a version that moves with the cluster.
func (p *place) missing(level api.Level) []string {
	if level == api.LevelPrivileged {
		return nil
	}
	var out []string
	for _, l := range p.wanted(level) {
		if !fine(p.labels[l[0]], l[1]) {
			out = append(out, "no "+strings.TrimPrefix(l[0], labelPrefix)+"="+l[1])
		}
	}
	return out
}

// fine says whether a label's value is as good as the wanted one: a level, or a
// version, of which any that is pinned will do.
func fine(value, want string) bool {
	if rank(want) == 0 {
		v, err := api.ParseVersion(value)
		return err == nil && value != "" && !v.Latest()
	}
	return rank(value) >= rank(want)
}

func rank(level string) int {
	switch api.Level(level) {
	case api.LevelRestricted:
		return 2
	case api.LevelBaseline:
		return 1
	}
	return 0
}

// enforced says whether the labels enforce anything.
func enforced(labels map[string]string) bool { return rank(labels[api.EnforceLevelLabel]) > 0 }
