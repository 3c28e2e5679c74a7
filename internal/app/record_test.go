package app

import (
	"strings"
	"testing"
)

func TestRecordFits(t *testing.T) {
	load := func(manifest string) *App {
		a, err := LoadFiles("x", map[string][]byte{"pod.yaml": []byte(manifest)})
		if err != nil || len(a.Workloads) == 0 {
			t.Fatal(err)
		}
		return a
	}
	a := load(pod)
	r := NewRecord(a, "runc 1.1.5")
	if err := r.Fits(a); err != nil {
		t.Error(err)
	}
	w := a.Workloads[0]
	for name, other := range map[string]string{
		"another image": strings.Replace(pod, "image: "+w.Pod.Containers[0].Image, "image: other:2", 1),
		"another name":  strings.Replace(pod, "name: "+w.Name, "name: other", 1),
	} {
		if other == pod {
			t.Fatalf("%s: nothing was replaced", name)
		}
		if err := r.Fits(load(other)); err == nil {
			t.Errorf("%s: fits", name)
		} else {
			t.Log(err)
		}
	}
	old := *r
	old.Schema = "road/seen/v0"
	if err := old.Fits(a); err == nil || !strings.Contains(err.Error(), "road/seen/v0") {
		t.Error(err)
	}
}
