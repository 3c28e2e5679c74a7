package cli

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestBuild(t *testing.T) {
	const commit = "1c93634bf93dd23bcf301185e773fa017931d437"
	vcs := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: commit},
			{Key: "vcs.time", Value: "2026-11-23T13:26:30Z"}, {Key: "vcs.modified", Value: modified}}
	}
	for _, tt := range []struct {
		name, module string
		settings     []debug.BuildSetting
		version      string
		text         string
	}{
		{"nothing known", "", nil, "(devel)", "(devel)"},
		{"no commit", "(devel)", nil, "(devel)", "(devel)"},
		{"a commit", "(devel)", vcs("false"), "1c93634bf93d", "1c93634bf93d"},
		{"changes on it", "(devel)", vcs("true"), "1c93634bf93d+dirty", "1c93634bf93d+dirty"},
		{"a version made of it", "v0.0.0-20261123132630-1c93634bf93d+dirty", vcs("true"),
			"v0.0.0-20261123132630-1c93634bf93d+dirty", "v0.0.0-20261123132630-1c93634bf93d+dirty"},
		{"a release", "v2.1.0", vcs("false"), "v2.1.0", "v2.1.0 (1c93634bf93d)"},
		{"another's commit", "(devel)", []debug.BuildSetting{{Key: "vcs.revision", Value: "42"}}, "42", "42"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := buildOf(&debug.BuildInfo{Main: debug.Module{Version: tt.module}, Settings: tt.settings})
			want := tt.text + " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
			if b.Version != tt.version || b.String() != want {
				t.Errorf("%q and %q, want %q and %q", b.Version, b, tt.version, want)
			}
			if len(tt.settings) > 1 && (b.Commit != commit || b.Committed == "" || b.Dirty != (tt.settings[3].Value == "true")) {
				t.Errorf("%+v", b)
			}
		})
	}
}
