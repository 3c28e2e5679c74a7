package oci

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"road/internal/app"

	batchv1 "k8s.io/api/batch/v1"
)

// controllerLabels gives the labels of a workload's pod: those of its template,
// and those that its controller adds, which policies and Services may select.
func controllerLabels(w *app.Workload, index int, pod string) map[string]string {
	labels := maps.Clone(w.Meta.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	job := w.Name
	switch w.Kind {
	case "Deployment":
		labels["pod-template-hash"] = templateHash(w)
	case "DaemonSet":
		labels["controller-revision-hash"] = templateHash(w)
		labels["pod-template-generation"] = "1"
	case "StatefulSet":
		labels["controller-revision-hash"] = w.Name + "-" + templateHash(w)
		labels["statefulset.kubernetes.io/pod-name"] = pod
		labels["apps.kubernetes.io/pod-index"] = strconv.Itoa(index)
	case "CronJob":
		job = fmt.Sprintf("%s-%d", w.Name, time.Now().Unix()/60) // the minute that it was due
		fallthrough
	case "Job":
		uid := fmt.Sprintf("%x", sha256.Sum256([]byte(w.Home()+"/"+job)))
		uid = uid[:8] + "-" + uid[8:12] + "-4" + uid[13:16] + "-8" + uid[17:20] + "-" + uid[20:32]
		for _, prefix := range []string{"", "batch.kubernetes.io/"} {
			labels[prefix+"job-name"], labels[prefix+"controller-uid"] = job, uid
		}
		if j, ok := w.Typed.(*batchv1.Job); ok && j.Spec.CompletionMode != nil && *j.Spec.CompletionMode == batchv1.IndexedCompletion {
			labels["batch.kubernetes.io/job-completion-index"] = strconv.Itoa(index)
		}
	}
	return labels
}

// templateHash tells one version of a pod template from another, in the letters
// that the controllers use, which spell no words.
func templateHash(w *app.Workload) string {
	b, err := json.Marshal([]any{w.Meta, w.Pod})
	if err != nil {
		panic(err) // it came from JSON
	}
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	sum := sha256.Sum256(b)
	hash := make([]byte, 10)
	for i := range hash {
		hash[i] = letters[int(sum[i])%len(letters)]
	}
	return string(hash)
}
