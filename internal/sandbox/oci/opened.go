package oci

import (
	"fmt"
	"maps"
	"slices"

	"road/internal/app"
	"road/internal/image"
	"road/internal/sandbox/oci/pod"
)

// opened keeps which files of its image a container opened, until an attack may
// have begun: what an attacker opens is not what the application needs.
func (d *deployment) opened(workload, container string, o pod.Open) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls.frozen {
		return
	}
	key := [2]string{workload, container}
	if d.opens == nil {
		d.opens = map[[2]string]map[string]pod.Open{}
	}
	if d.opens[key] == nil {
		d.opens[key] = map[string]pod.Open{}
	}
	if was := d.opens[key][o.Name]; !was.Run {
		d.opens[key][o.Name] = o
	}
}

// unseen keeps why not everything that a container opened is known.
func (d *deployment) unseen(workload, container string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls.frozen {
		return // all that counts was told before
	}
	if d.lost == nil {
		d.lost = map[[2]string]error{}
	}
	d.lost[[2]string{workload, container}] = err
}

// drainOpens has all told that the pods have opened by now.
func drainOpens(members []*member) {
	for _, m := range members {
		m.pod.Opened()
	}
}

// learnOpened adds to in what the containers of that name opened and ran,
// or why that is not known.
func (d *deployment) learnOpened(in *app.SeenInside, workload, container string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.lost[[2]string{workload, container}]; err != nil {
		in.Opened, in.Ran, in.Links, in.Packages, in.Unseen = nil, nil, nil, nil, err.Error()
		return
	}
	in.Unseen = ""
	for name, o := range d.opens[[2]string{workload, container}] {
		in.Opened = append(in.Opened, name)
		if o.Run {
			in.Ran = append(in.Ran, name)
		}
		for _, l := range o.Links {
			if in.Links == nil {
				in.Links = map[string]string{}
			}
			in.Links[l] = name
		}
	}
	slices.Sort(in.Opened)
	slices.Sort(in.Ran)
	in.Opened, in.Ran = slices.Compact(in.Opened), slices.Compact(in.Ran)
}

// learnPackages adds to in which packages own what was opened, and by which links
// Debian's alternatives lead there.
func learnPackages(in *app.SeenInside, img *image.Image) error {
	if img == nil || len(in.Opened) == 0 {
		return nil
	}
	owners, err := img.Packages(in.Opened)
	if err != nil {
		return fmt.Errorf("read the packages of %s: %w", img.Ref, err)
	}
	if owners == nil {
		return nil // what an earlier image of the same container showed stays
	}
	links, err := img.Alternatives(in.Opened)
	if err != nil {
		return fmt.Errorf("read the alternatives of %s: %w", img.Ref, err)
	}
	if in.Packages == nil {
		in.Packages = map[string]string{}
	}
	maps.Copy(in.Packages, owners)
	if in.Links == nil && len(links) > 0 {
		in.Links = map[string]string{}
	}
	maps.Copy(in.Links, links)
	return nil
}
