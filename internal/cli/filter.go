package cli

import (
	"errors"
	"fmt"
	"slices"

	"road/internal/app"
	"road/internal/walk"

	"github.com/spf13/cobra"
)

// A filterChoice says which system call filter the step seccomp writes; "" is
// what road.yaml chooses.
type filterChoice string

// filters are what a filterChoice may be.
var filters = []string{"runtime-default", "localhost"}

func (f *filterChoice) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar((*string)(f), "seccomp", "", "the filter that the step seccomp writes: runtime-default, or localhost for\na profile learned from what each container calls")
	_ = cmd.RegisterFlagCompletionFunc("seccomp", cobra.FixedCompletions(filters, cobra.ShellCompDirectiveNoFileComp))
}

func (f filterChoice) validate() error {
	if f != "" && !slices.Contains(filters, string(f)) {
		return usage(fmt.Errorf("--seccomp %s is not known", f), "it is runtime-default, or localhost for a learned profile")
	}
	return nil
}

// choices are what the walk is told.
func (f filterChoice) choices() []walk.Choice {
	if f == "" {
		return nil
	}
	return []walk.Choice{{Step: "seccomp", Key: "profile", Value: string(f)}}
}

// An openshiftFlag says that the target is OpenShift, whatever road.yaml says.
type openshiftFlag bool

func (o *openshiftFlag) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar((*bool)(o), "openshift", false, "for OpenShift: write no users and groups, which its restricted-v2 gives,\nand let group 0 write what the application writes")
}

func (o openshiftFlag) apply(t *app.Target) { t.OpenShift = t.OpenShift || bool(o) }

// fits refuses a filter that OpenShift does not take.
func (o openshiftFlag) fits(f filterChoice) error {
	if o && f == "localhost" {
		return usage(errors.New("--seccomp localhost and --openshift exclude each other"), "restricted-v2 takes no filter but RuntimeDefault")
	}
	return nil
}
