package cli

import (
	"fmt"
	"strconv"
	"strings"

	"road/internal/step"
	"road/steps"

	"github.com/spf13/cobra"
)

// road gives the steps in order; the first leads to stop 2.
func road() []*step.Step { return steps.All }

// find gives the number of a stop by its number ("2", "2.0") or its step's name;
// 1 is the application as it came, 0 means that there is no such stop.
func find(value string) int {
	if n, err := strconv.Atoi(strings.TrimSuffix(value, ".0")); err == nil {
		if n >= 1 && n <= len(road())+1 {
			return n
		}
		return 0
	}
	for i, s := range road() {
		if s.Name == value {
			return i + 2
		}
	}
	return 0
}

func names() []string {
	var out []string
	for _, s := range road() {
		out = append(out, s.Name)
	}
	return out
}

// numbered lists them with their numbers; 1 is no step.
func numbered() []string {
	var out []string
	for i, s := range road() {
		out = append(out, fmt.Sprintf("%d %s", i+2, s.Name))
	}
	return out
}

// completeSteps offers the names of steps to the shell.
func completeSteps(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, s := range road() {
		out = append(out, s.Name+"\t"+s.Title)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
