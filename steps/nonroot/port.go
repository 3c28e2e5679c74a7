package nonroot

import (
	"slices"
	"strconv"
	"strings"

	"road/internal/app"
)

// lowPort says whether a container listens below 1024: as a run showed, as the
// manifest says or, where neither does, as the image says.
func lowPort(a *app.App, w *app.Workload) bool {
	low := func(n int) bool { return n > 0 && n < 1024 }
	for c := range w.Containers() {
		var ports []int
		for _, p := range c.Spec.Ports {
			ports = append(ports, int(p.ContainerPort))
		}
		if in := a.Seen.Containers[w.ID()][c.Spec.Name]; in != nil {
			ports = append(ports, in.Listens...)
		}
		if img := a.Image(c.Spec.Image); len(ports) == 0 && img != nil {
			ports = exposed(a, img)
		}
		if slices.ContainsFunc(ports, low) {
			return true
		}
	}
	return false
}

// exposed gives the ports that an image declares.
func exposed(a *app.App, img *app.Image) []int {
	ports := slices.Clone(a.Seen.Images[img.Ref].Ports)
	if img.Build == nil {
		return ports
	}
	d := img.Build.Dockerfile
	if s := d.Final(img.Build.Target); s != nil {
		for _, s := range d.Chain(s) {
			for _, in := range s.Instructions {
				if in.Name != "EXPOSE" {
					continue
				}
				text, _ := expand(img.Build, s, in.Args)
				for _, p := range strings.Fields(text) {
					first, _, _ := strings.Cut(strings.SplitN(p, "/", 2)[0], "-")
					if n, err := strconv.Atoi(first); err == nil {
						ports = append(ports, n)
					}
				}
			}
		}
	}
	return ports
}
