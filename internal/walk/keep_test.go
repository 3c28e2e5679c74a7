package walk

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"road/internal/app"
	"road/internal/edit"
)

// What is told of the done steps, applied one after the other to the files as
// they came, gives the walk's own files at each stop; a step that was left out
// is not among it.
func TestKeepTellsEachDoneStep(t *testing.T) {
	m := &memory{}
	m.unready = func(_ *app.App, w *app.Workload) string {
		if w.Meta.Labels["b"] != "" {
			return "it cannot bear b"
		}
		return ""
	}
	o := options(t, m, map[string]string{"web.yaml": manifest("web"), "db.yaml": manifest("db", "a")},
		labelStep("a"), labelStep("b"), labelStep("c"))
	files := edit.Files{"web.yaml": []byte(manifest("web")), "db.yaml": []byte(manifest("db", "a"))}
	var numbers []int
	o.Keep = func(k Kept) {
		numbers = append(numbers, k.Number)
		for name, was := range k.Before {
			if string(files[name]) != string(was) {
				t.Errorf("stop %d: %s was\n%s\nnot\n%s", k.Number, name, files[name], was)
			}
		}
		maps.Copy(files, k.After)
		for name, content := range files {
			b, err := os.ReadFile(filepath.Join(o.Dir, "work", "shop", name))
			if err != nil || string(b) != string(content) {
				t.Errorf("stop %d: %s is not as the walk has it: %v\n%s", k.Number, name, err, b)
			}
		}
	}
	if _, err := Walk(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if len(numbers) != 2 || numbers[0] != 2 || numbers[1] != 4 {
		t.Errorf("kept stops %v, want 2 and 4", numbers)
	}
}
