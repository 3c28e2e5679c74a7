package judge

import (
	"context"
	"fmt"
	"strings"
	"testing"

	road "road/internal/admission"

	corev1 "k8s.io/api/core/v1"
)

// TestDefaults asks a policy about an object that lacks what the API server fills
// in: the expression holds, and gives no error of a missing key.
func TestDefaults(t *testing.T) {
	const template = `template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: web, resources: {limits: {cpu: "1"}}}]}}`
	const common = `object.spec.template.spec.restartPolicy == 'Always' && object.spec.template.spec.dnsPolicy == 'ClusterFirst' && object.spec.template.spec.containers[0].imagePullPolicy == 'Always' && !has(object.spec.template.spec.serviceAccountName) && !has(object.spec.template.spec.containers[0].resources.requests)`
	for _, c := range []struct{ group, kind, plural, spec, holds string }{
		{"apps", "Deployment", "deployments", template, common + ` && object.spec.replicas == 1 && object.spec.revisionHistoryLimit == 10 && object.spec.progressDeadlineSeconds == 600 && object.spec.strategy.rollingUpdate.maxSurge == '25%'`},
		{"apps", "ReplicaSet", "replicasets", template, common + ` && object.spec.replicas == 1`},
		{"apps", "StatefulSet", "statefulsets", template, common + ` && object.spec.replicas == 1 && object.spec.podManagementPolicy == 'OrderedReady' && object.spec.updateStrategy.rollingUpdate.partition == 0 && object.spec.persistentVolumeClaimRetentionPolicy.whenDeleted == 'Retain'`},
		{"apps", "DaemonSet", "daemonsets", template, common + ` && object.spec.updateStrategy.rollingUpdate.maxUnavailable == 1`},
		{"", "ReplicationController", "replicationcontrollers", template, common + ` && object.spec.replicas == 1 && object.spec.selector.app == 'web'`},
		{"batch", "Job", "jobs", template, common + ` && object.spec.completions == 1 && object.spec.parallelism == 1 && object.spec.backoffLimit == 6 && !object.spec.suspend && object.metadata.labels.app == 'web'`},
		{"batch", "Job", "jobs", "completions: 3, " + template, `object.spec.completions == 3 && object.spec.parallelism == 1`},
		{"batch", "Job", "jobs", "parallelism: 3, " + template, `!has(object.spec.completions) && object.spec.parallelism == 3`},
		{"batch", "CronJob", "cronjobs", "jobTemplate: {spec: {" + template + "}}", `object.spec.concurrencyPolicy == 'Allow' && !object.spec.suspend && object.spec.failedJobsHistoryLimit == 1 && object.spec.jobTemplate.spec.template.spec.schedulerName == 'default-scheduler'`},
	} {
		object := fmt.Sprintf(`{apiVersion: %q, kind: %s, metadata: {name: o, namespace: shop}, spec: {%s}}`, strings.TrimPrefix(c.group+"/v1", "/"), c.kind, c.spec)
		policy := fmt.Sprintf(`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: pods}, spec: {validations: [{expression: %q}],
  matchConstraints: {resourceRules: [{apiGroups: [%q], apiVersions: [v1], operations: [CREATE], resources: [%s]}]}}}`, c.holds, c.group, c.plural)
		none := strings.Replace(policy, c.holds, "false", 1) // that it is asked at all
		for text, allowed := range map[string]bool{policy: true, none: false} {
			r := road.Request{Object: toJSON(t, object), User: "mallory"}
			r.Cluster = append(r.Cluster, toJSON(t, text), toJSON(t, binding(deny)))
			if a, err := Decide(context.Background(), r); err != nil || a.Allowed != allowed {
				t.Errorf("%s {%.20s: %+v, %v", c.kind, c.spec, a, err)
			}
		}
	}
}

func TestPullPolicy(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0", 64)
	for image, want := range map[string]corev1.PullPolicy{
		"x": corev1.PullAlways, "x:latest": corev1.PullAlways, "r:5000/x": corev1.PullAlways, "x:latest" + digest: corev1.PullAlways,
		"x:1": corev1.PullIfNotPresent, "x" + digest: corev1.PullIfNotPresent, "r:5000/x:1" + digest: corev1.PullIfNotPresent, "Not A Name": corev1.PullIfNotPresent,
	} {
		if got := pullPolicy(image); got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}
