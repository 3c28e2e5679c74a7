package cli

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// down ends one application, and asks where it could be any of several.
func TestDownChooses(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/shop", 0o700); err != nil {
		t.Fatal(err)
	}
	up := func(id string, r running) stray {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return stray{id: id, detached: true, info: b}
	}
	demo, shop := up("a", running{App: "demo", Stop: 1, URL: "http://127.0.0.1:8080"}), up("b", running{App: "shop", Stop: 2, URL: "http://127.0.0.1:8081", Path: dir + "/shop"})
	again := up("c", running{App: "demo", Stop: 2, URL: "http://127.0.0.1:8082"})
	walk := stray{id: "w"}
	for _, c := range []struct {
		d    choiceOfDown
		list []stray
		want string // ids, or what the error has
	}{
		{choiceOfDown{}, nil, ""},
		{choiceOfDown{}, []stray{walk}, ""},
		{choiceOfDown{}, []stray{walk, demo}, "a"},
		{choiceOfDown{others: true}, []stray{walk, demo}, "a w"},
		{choiceOfDown{}, []stray{demo, shop}, "2 applications run: demo at 1.0 on http://127.0.0.1:8080; shop at 2.0 on http://127.0.0.1:8081"},
		{choiceOfDown{all: true}, []stray{demo, shop, walk}, "a b"},
		{choiceOfDown{name: "shop"}, []stray{demo, shop}, "b"},
		{choiceOfDown{name: dir + "/shop/"}, []stray{demo, shop}, "b"},
		{choiceOfDown{port: 8082}, []stray{demo, again}, "c"},
		{choiceOfDown{name: "demo"}, []stray{demo, again}, "2 applications run"},
		{choiceOfDown{name: "demo", port: 8080}, []stray{demo, again}, "a"},
		{choiceOfDown{name: "other"}, []stray{demo}, "no such application runs: other"},
		{choiceOfDown{port: 80}, nil, "no such application runs: --port 80"},
	} {
		chosen, err := c.d.of(c.list)
		var ids []string
		for id := range chosen {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		got := strings.Join(ids, " ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%+v: %q, want %q", c.d, got, c.want)
		}
	}
}
