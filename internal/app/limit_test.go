package app

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestPodLimit(t *testing.T) {
	const r = corev1.ResourceEphemeralStorage
	always := corev1.ContainerRestartPolicyAlways
	with := func(limit string, sidecar bool) corev1.Container {
		c := corev1.Container{}
		if limit != "" {
			c.Resources.Limits = corev1.ResourceList{r: resource.MustParse(limit)}
		}
		if sidecar {
			c.RestartPolicy = &always
		}
		return c
	}
	list := func(c ...corev1.Container) []corev1.Container { return c }
	for name, c := range map[string]struct {
		init, normal []corev1.Container
		overhead     string
		want         string // "" for none
	}{
		"none":                   {nil, list(with("", false)), "1Gi", ""},
		"some have one":          {nil, list(with("1Gi", false), with("", false)), "", "1Gi"},
		"all together":           {nil, list(with("1Gi", false), with("2Gi", false)), "", "3Gi"},
		"a sidecar":              {list(with("1Gi", true)), list(with("1Gi", false)), "", "2Gi"},
		"only a sidecar":         {list(with("1Gi", true)), list(with("", false)), "", "1Gi"},
		"a small init container": {list(with("1Gi", false)), list(with("2Gi", false)), "", "2Gi"},
		"a large one":            {list(with("5Gi", false), with("4Gi", false)), list(with("2Gi", false)), "", "5Gi"},
		"one after a sidecar":    {list(with("1Gi", true), with("5Gi", false)), list(with("2Gi", false)), "", "6Gi"},
		"one before it":          {list(with("5Gi", false), with("1Gi", true)), list(with("2Gi", false)), "", "5Gi"},
		"with the runtime's":     {nil, list(with("1Gi", false)), "1Gi", "2Gi"},
	} {
		spec := &corev1.PodSpec{InitContainers: c.init, Containers: c.normal}
		if c.overhead != "" {
			spec.Overhead = corev1.ResourceList{r: resource.MustParse(c.overhead)}
		}
		got := ""
		if q := PodLimit(spec, r); q != nil {
			got = q.String()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
