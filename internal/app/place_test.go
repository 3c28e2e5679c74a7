package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		name string
		seen SeenInside
		want []Place
	}{
		{"an older record", SeenInside{Written: []string{"/var/x"}}, []Place{{Dir: "/var/x"}}},
		{"made beside code", SeenInside{Writes: map[string]Write{"/srv": {Made: []string{"data", "log"}, Holds: true}}},
			[]Place{{Dir: "/srv/data", Made: true}, {Dir: "/srv/log", Made: true}}},
		{"made in an empty one", SeenInside{Writes: map[string]Write{"/srv": {Made: []string{"data"}}}}, []Place{{Dir: "/srv"}}},
		{"only another owner", SeenInside{Writes: map[string]Write{"/srv": {Owned: true, Holds: true}}}, nil},
		{"made in / itself", SeenInside{Writes: map[string]Write{"/": {Made: []string{"data"}, Holds: true}}}, []Place{{Dir: "/data", Made: true}}},
		{"files in / itself", SeenInside{Writes: map[string]Write{"/": {Made: []string{"data"}, Files: true, Holds: true}}}, []Place{{Dir: "/", Holds: true}}},
		{"made where names differ", SeenInside{Writes: map[string]Write{"/tmp": {Made: []string{"tmp.x"}, Holds: true}}}, []Place{{Dir: "/tmp", Holds: true}}},
		{"too many", SeenInside{Writes: map[string]Write{"/srv": {Made: []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}, Holds: true}}}, []Place{{Dir: "/srv", Holds: true}}},
		{"files too", SeenInside{Writes: map[string]Write{"/srv": {Made: []string{"data"}, Files: true, Holds: true}}}, []Place{{Dir: "/srv", Holds: true}}},
		{"found to need the whole", SeenInside{Whole: []string{"/srv"}, Writes: map[string]Write{"/srv": {Made: []string{"data"}, Holds: true}}}, []Place{{Dir: "/srv", Holds: true}}},
		{"made, and there in a later image", SeenInside{Writes: map[string]Write{"/srv": {Made: []string{"data"}, Holds: true}, "/srv/data": {Files: true}}},
			[]Place{{Dir: "/srv/data", Made: true}}},
		{"refused", SeenInside{Writes: map[string]Write{"/srv": {Files: true}}, Denied: []Denied{{What: "write", Name: "/srv/x"}, {What: "write", Name: "/opt/x"}, {What: "read", Name: "/etc/x"}}},
			[]Place{{Dir: "/opt"}, {Dir: "/srv"}}},
	} {
		if d := cmp.Diff(c.want, c.seen.Places()); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	s := SeenInside{Writes: map[string]Write{"/srv": {Made: []string{"a", "b"}, Holds: true}, "/": {Made: []string{"c"}}}}
	if d := cmp.Diff([]string{"/srv"}, s.Around()); d != "" {
		t.Error(d)
	}
}

func TestMergeWrites(t *testing.T) {
	a := map[string]Write{"/a": {Made: []string{"y"}}}
	got := MergeWrites(a, map[string]Write{"/a": {Made: []string{"x", "y"}, Changed: []string{"f"}, Holds: true}, "/b": {Files: true}})
	if d := cmp.Diff(map[string]Write{"/a": {Made: []string{"x", "y"}, Changed: []string{"f"}, Holds: true}, "/b": {Files: true}}, got); d != "" {
		t.Error(d)
	}
	mysql := &Owner{UID: 104}
	got = MergeWrites(map[string]Write{"/a": {Owner: mysql}, "/b": {}}, map[string]Write{"/a": {Files: true}, "/b": {Owner: mysql}})
	if got["/a"].Owner != mysql || got["/b"].Owner != mysql {
		t.Errorf("owners: %+v", got)
	}
	if len(a["/a"].Made) != 1 {
		t.Error("what was merged into changed")
	}
}
