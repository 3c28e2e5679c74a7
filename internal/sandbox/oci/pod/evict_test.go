package pod

import (
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// disked is a pod with an emptyDir and a claim that fills a file, and then waits.
func disked(file string, bytes int, limit, sizeLimit string) *corev1.PodSpec {
	spec := one(":fill", file, strconv.Itoa(bytes), ":say", "full", ":sleep", "1m")
	empty := &corev1.EmptyDirVolumeSource{}
	if sizeLimit != "" {
		empty.SizeLimit = ptr(resource.MustParse(sizeLimit))
	}
	spec.Volumes = []corev1.Volume{vol("empty", corev1.VolumeSource{EmptyDir: empty}), vol("claim", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}})}
	c := &spec.Containers[0]
	c.VolumeMounts = []corev1.VolumeMount{{Name: "empty", MountPath: "/empty"}, {Name: "claim", MountPath: "/claim"}}
	if limit != "" {
		c.Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse(limit)}
	}
	return spec
}

// A pod that holds more of the disk than it may is ended, and the disk is free again.
func TestSandboxEviction(t *testing.T) {
	need(t)
	const much = 4 << 20
	for name, c := range map[string]struct {
		file, limit, sizeLimit string
		want                   string
	}{
		"no limit":          {"/data/x", "", "", ""},
		"below all":         {"/data/x", "16Mi", "16Mi", ""},
		"the claim is none": {"/claim/x", "1Mi", "1Mi", ""},
		"its layer":         {"/data/x", "1Mi", "", "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi."},
		"its emptyDir":      {"/empty/x", "16Mi", "1Mi", `Usage of EmptyDir volume "empty" exceeds the limit "1Mi".`},
		"counts for all":    {"/empty/x", "1Mi", "", "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := disked(c.file, much, c.limit, c.sizeLimit)
			o, _ := volumeOptions(t, spec)
			p := launch(t, o)
			n, err := p.Node("")
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				waitLog(t, p, "full")
				time.Sleep(3 * evictEvery) // whatever may come has come
				d, err := n.Disk()
				if holds := c.file != "/claim/x"; err != nil || d.Evicted != "" || (d.Used >= much) != holds || d.Free <= 0 {
					t.Errorf("%+v, %v", d, err)
				}
				return
			}
			<-p.Done()
			for d, err := n.Disk(); d.Used >= much; d, err = n.Disk() { // it goes after the last process
				if err != nil || t.Context().Err() != nil {
					t.Fatalf("%+v, %v", d, err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if d, err := n.Disk(); err != nil || d.Evicted != c.want {
				t.Errorf("%+v, %v", d, err)
			}
			if got := p.Status().Failed; got != "Evicted: "+c.want {
				t.Errorf("failed: %s", got)
			}
		})
	}
}

// Each limit is compared with what is its own.
func TestQuota(t *testing.T) {
	spec := disked("/x", 0, "10Mi", "5Mi")
	spec.Containers = append(spec.Containers, corev1.Container{Name: "second", Resources: corev1.ResourceRequirements{
		Limits: corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("20Mi")}}})
	q, ok := quotaOf(spec)
	if !ok {
		t.Fatal("no limits")
	}
	const mebi = 1 << 20
	for want, u := range map[string]diskUse{
		"": {map[string]int64{"empty": 5 * mebi}, map[string]int64{"web": 10 * mebi, "second": 15 * mebi}},
		`Container web exceeded its local ephemeral storage limit "10Mi".`:              {nil, map[string]int64{"web": 11 * mebi}},
		`Usage of EmptyDir volume "empty" exceeds the limit "5Mi".`:                     {map[string]int64{"empty": 6 * mebi}, nil},
		"Pod ephemeral local storage usage exceeds the total limit of containers 30Mi.": {map[string]int64{"empty": 5 * mebi}, map[string]int64{"web": 10 * mebi, "second": 16 * mebi}},
	} {
		if got := q.exceeded(u); got != want {
			t.Errorf("%+v: %q, want %q", u, got, want)
		}
	}
	if _, ok := quotaOf(disked("/x", 0, "", "")); ok {
		t.Error("a pod without limits has some")
	}
}
