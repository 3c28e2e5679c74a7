package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestGauge has peaks found in what the kernel counts, in both versions: memory
// without the page cache, and processor time over no less than 100 ms.
func TestGauge(t *testing.T) {
	for _, unified := range []bool{false, true} {
		root := t.TempDir()
		set := func(anon, cache int64, cpu time.Duration) {
			files := map[string]string{
				"memory/p/memory.stat":    fmt.Sprintf("cache %d\nrss 5\ntotal_cache %[1]d\ntotal_rss %d\n", cache, anon),
				"cpuacct/p/cpuacct.usage": fmt.Sprintf("%d\n", cpu.Nanoseconds()),
			}
			if unified {
				files = map[string]string{
					"p/memory.stat": fmt.Sprintf("anon %d\nfile %d\n", anon, cache),
					"p/cpu.stat":    fmt.Sprintf("usage_usec %d\n", cpu.Microseconds()),
				}
			}
			for name, text := range files {
				name = filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		g := gauge{run: &attempt{cgroup: podCgroup{root: root, path: "/p", unified: unified}}}
		at := time.Now()
		if g.read() {
			t.Error("a group that is not there has a peak")
		}
		for i, c := range []struct {
			after, reading time.Duration
			anon, cache    int64
			cpu            time.Duration
			want           Peak
		}{
			{0, 0, 1000, 1 << 30, time.Second, Peak{1000, 0}}, // what was used before it was looked at is nobody's peak
			{20 * time.Millisecond, 0, 9000, 0, time.Second + 20*time.Millisecond, Peak{9000, 0}},
			{120 * time.Millisecond, 0, 3000, 0, time.Second + 60*time.Millisecond, Peak{9000, 500}},
			{320 * time.Millisecond, 0, 3000, 0, time.Second + 80*time.Millisecond, Peak{9000, 500}},
			{420 * time.Millisecond, 0, 3000, 0, time.Second + 280*time.Millisecond, Peak{9000, 2000}},
			{520 * time.Millisecond, 900 * time.Millisecond, 3000, 0, 3 * time.Second, Peak{9000, 2000}}, // read nobody knows when
		} {
			set(c.anon, c.cache, c.cpu)
			was := g.peak
			anon, cpu, ok := g.run.cgroup.use()
			if !ok {
				t.Fatal("nothing can be read")
			}
			begun := at.Add(c.after)
			if rose := g.add(begun, begun.Add(c.reading), anon, cpu); g.peak != c.want || rose != (c.want != was) {
				t.Errorf("unified %v, measure %d: %+v, rose %v; want %+v", unified, i, g.peak, rose, c.want)
			}
		}
	}
}
