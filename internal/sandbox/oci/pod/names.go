package pod

import (
	"errors"
	"fmt"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Names of a manifest become names of directories and files on the node, so what
// the API server would refuse is refused here: nobody else has looked at them,
// and "../../etc" as a volume's name would be the host's own directory.

// idPattern is what Options.ID may be.
var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)

// checkNames looks at every name of the pod that a path is made of.
func checkNames(o Options) error {
	var errs []error
	check := func(what, name string, problems []string) {
		if len(problems) > 0 {
			errs = append(errs, fmt.Errorf("%s %q: %s", what, name, problems[0]))
		}
	}
	if !idPattern.MatchString(o.ID) {
		errs = append(errs, fmt.Errorf("pod id %q: only a-z, 0-9, - and . are allowed", o.ID))
	}
	check("namespace", o.Namespace, validation.IsDNS1123Label(o.Namespace))
	seen := map[string]bool{}
	for _, c := range append(append([]corev1.Container(nil), o.Spec.InitContainers...), o.Spec.Containers...) {
		check("container name", c.Name, validation.IsDNS1123Label(c.Name))
		if seen[c.Name] {
			errs = append(errs, fmt.Errorf("container name %q is used twice", c.Name))
		}
		seen[c.Name] = true
	}
	clear(seen)
	for _, v := range o.Spec.Volumes {
		check("volume name", v.Name, validation.IsDNS1123Label(v.Name))
		if seen[v.Name] {
			errs = append(errs, fmt.Errorf("volume name %q is used twice", v.Name))
		}
		seen[v.Name] = true
	}
	return errors.Join(errs...)
}

// checkClaim looks at the name of a volume claim.
func checkClaim(name string) error {
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		return fmt.Errorf("persistentvolumeclaim %q: %s", name, problems[0])
	}
	return nil
}

// checkKey looks at a key of a Secret or ConfigMap, which is a file's name.
func checkKey(key string) error {
	if problems := validation.IsConfigMapKey(key); len(problems) > 0 {
		return fmt.Errorf("invalid key %q: %s", key, problems[0])
	}
	return nil
}

// sysctlPattern is the API's own. Its parts are no "..", in neither notation.
var sysctlPattern = regexp.MustCompile(`^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`)

func checkSysctl(name string) error {
	if len(name) > 253 || !sysctlPattern.MatchString(name) {
		return fmt.Errorf("invalid sysctl name %q", name)
	}
	return nil
}
