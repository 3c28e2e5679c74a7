package judge

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	road "road/internal/admission"

	"go.yaml.in/yaml/v3"
)

// The pods of the table: as restricted wants them, as most are written, and as
// an attacker writes them.
const (
	hardened = `{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop, labels: {app: web}}, spec: {automountServiceAccountToken: false,
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, containers: [{name: c, image: "web@sha256:00",
  resources: {limits: {memory: 64Mi}}, securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]}}`
	plain      = `{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, spec: {containers: [{name: c, image: web}]}}`
	privileged = `{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, spec: {hostPID: true, volumes: [{name: v, hostPath: {path: /}}],
  containers: [{name: c, image: web, securityContext: {privileged: true}}]}}`
	deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: shop}, spec: {selector: {matchLabels: {app: web}},
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: web}]}}}}`
)

func namespace(labels string) string {
	return `{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {` + labels + `}}}`
}

// A spec of a policy about pods with this text, and a binding with that.
func policyOf(spec string) string {
	return `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: pods}, spec: {` + spec + `,
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}}}`
}

func binding(spec string) string {
	return `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: here}, spec: {policyName: pods, ` + spec + `}}`
}

const (
	enforce  = `pod-security.kubernetes.io/enforce: `
	version  = `, pod-security.kubernetes.io/enforce-version: v1.37`
	readOnly = `validations: [{expression: "object.spec.containers.all(c, has(c.securityContext) && has(c.securityContext.readOnlyRootFilesystem) && c.securityContext.readOnlyRootFilesystem)", message: "read-only root, please"}]`
	deny     = `validationActions: [Deny]`
)

// TestDecide holds what each rule of the API server does, one a case. Words are
// those that kubectl shows.
func TestDecide(t *testing.T) {
	for _, c := range []struct {
		name, object string
		cluster      []string
		want         string // in the message; "" is admitted
		warns        string
	}{
		{"no rule", privileged, nil, "", ""},
		{"a namespace without labels", privileged, []string{namespace("")}, "", ""},
		{"privileged is everything", privileged, []string{namespace(enforce + "privileged")}, "", ""},
		{"baseline takes the plain", plain, []string{namespace(enforce + "baseline" + version)}, "", ""},
		{"baseline refuses the privileged", privileged, []string{namespace(enforce + "baseline" + version)},
			`pods "p" is forbidden: violates PodSecurity "baseline:v1.37": host namespaces (hostPID=true), hostPath volumes (volume "v"), privileged (container "c" must not set securityContext.privileged=true)`, ""},
		{"restricted refuses the plain", plain, []string{namespace(enforce + "restricted" + version)},
			`pods "p" is forbidden: violates PodSecurity "restricted:v1.37": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true`, ""},
		{"restricted takes the hardened", hardened, []string{namespace(enforce + "restricted" + version)}, "", ""},
		{"no version is the latest", plain, []string{namespace(enforce + "restricted")}, `violates PodSecurity "restricted:latest"`, ""},
		{"an older version knows less", strings.Replace(hardened, "allowPrivilegeEscalation: false, ", "", 1), []string{namespace(enforce + "restricted, pod-security.kubernetes.io/enforce-version: v1.7")}, "", ""},
		{"a level that there is not enforces the strictest", plain, []string{namespace(enforce + "tight")}, `violates PodSecurity "restricted:latest"`, ""},
		{"warn warns", plain, []string{namespace("pod-security.kubernetes.io/warn: restricted")}, "", `would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false`},
		{"audit says nothing", plain, []string{namespace("pod-security.kubernetes.io/audit: restricted")}, "", ""},
		{"a deployment is only warned of", deployment, []string{namespace(enforce + "restricted" + version + ", pod-security.kubernetes.io/warn: restricted")}, "", "would violate"},
		{"a deployment passes what enforces, with a warning", deployment, []string{namespace(enforce + "restricted")}, "", "would violate"},
		{"the labels of another namespace", strings.Replace(privileged, "shop", "other", 1), []string{namespace(enforce + "restricted")}, "", ""},

		{"a policy without a binding", plain, []string{policyOf(readOnly)}, "", ""},
		{"a policy refuses", plain, []string{policyOf(readOnly), binding(deny)}, `pods "p" is forbidden: ValidatingAdmissionPolicy 'pods' with binding 'here' denied request: read-only root, please`, ""},
		{"a policy takes", hardened, []string{policyOf(readOnly), binding(deny)}, "", ""},
		{"a policy about pods and a deployment", deployment, []string{policyOf(readOnly), binding(deny)}, "", ""},
		{"a binding that warns", plain, []string{policyOf(readOnly), binding("validationActions: [Warn]")}, "", "Validation failed for ValidatingAdmissionPolicy 'pods' with binding 'here': read-only root, please"},
		{"a binding that audits", plain, []string{policyOf(readOnly), binding("validationActions: [Audit]")}, "", ""},
		{"a binding for this namespace, by its name", plain, []string{policyOf(readOnly), binding(deny + `, matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}`)}, "read-only root", ""},
		{"a binding for another, by its name", plain, []string{policyOf(readOnly), binding(deny + `, matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}}`)}, "", ""},
		{"a binding by the namespace's label", plain, []string{namespace("tier: front"), policyOf(readOnly), binding(deny + `, matchResources: {namespaceSelector: {matchLabels: {tier: front}}}`)}, "read-only root", ""},
		{"a binding by the pod's label", plain, []string{policyOf(readOnly), binding(deny + `, matchResources: {objectSelector: {matchLabels: {app: web}}}`)}, "", ""},
		{"a condition that does not hold", plain, []string{policyOf(readOnly + `, matchConditions: [{name: web, expression: "has(object.metadata.labels)"}]`), binding(deny)}, "", ""},
		{"a message that is computed", plain, []string{policyOf(`validations: [{expression: "false", messageExpression: "'no ' + object.metadata.name"}]`), binding(deny)}, "denied request: no p", ""},
		{"no message", plain, []string{policyOf(`validations: [{expression: "1 == 2"}]`), binding(deny)}, "denied request: failed expression: 1 == 2", ""},
		{"a variable", plain, []string{policyOf(`variables: [{name: n, expression: "object.spec.containers.size()"}], validations: [{expression: "variables.n > 1"}]`), binding(deny)}, "failed expression", ""},
		{"the namespace in an expression", plain, []string{namespace("tier: front"), policyOf(`validations: [{expression: "namespaceObject.metadata.labels.tier == 'back'"}]`), binding(deny)}, "failed expression", ""},
		{"who asks", plain, []string{policyOf(`validations: [{expression: "request.userInfo.username == 'root'"}]`), binding(deny)}, "failed expression", ""},
		{"an expression that fails refuses", plain, []string{policyOf(`validations: [{expression: "object.spec.nothing == 1"}]`), binding(deny)}, "no such key: nothing", ""},
		{"unless failures are ignored", plain, []string{policyOf(`failurePolicy: Ignore, validations: [{expression: "object.spec.nothing == 1"}]`), binding(deny)}, "", ""},
		{"what the API server fills in", plain, []string{policyOf(`validations: [{expression: "object.spec.restartPolicy == 'Always' && object.spec.serviceAccountName == 'default' && object.spec.containers[0].imagePullPolicy == 'Always'"}]`), binding(deny)}, "", ""},
		{"a parameter", plain, []string{`{apiVersion: v1, kind: ConfigMap, metadata: {name: most, namespace: shop}, data: {n: "0"}}`,
			policyOf(`paramKind: {apiVersion: v1, kind: ConfigMap}, validations: [{expression: "object.spec.containers.size() <= int(params.data.n)"}]`),
			binding(deny + `, paramRef: {name: most, parameterNotFoundAction: Deny}`)}, "failed expression", ""},
		{"a parameter that is missing", plain, []string{policyOf(`paramKind: {apiVersion: v1, kind: ConfigMap}, validations: [{expression: "true"}]`),
			binding(deny + `, paramRef: {name: most, parameterNotFoundAction: Deny}`)}, "no params found", ""},
		{"a parameter of the cluster", plain, []string{`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: most, namespace: shop, labels: {n: "0"}}}`,
			policyOf(`paramKind: {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole}, validations: [{expression: "object.spec.containers.size() <= int(params.metadata.labels.n)"}]`),
			binding(deny + `, paramRef: {name: most, parameterNotFoundAction: Allow}`)}, "failed expression", ""},
		{"a missing parameter in a namespace of the binding's choice", plain, []string{policyOf(`paramKind: {apiVersion: v1, kind: ConfigMap}, validations: [{expression: "false"}]`),
			binding(deny + `, paramRef: {name: most, namespace: other, parameterNotFoundAction: Allow}`)}, "", ""},
		{"Pod Security is asked first", plain, []string{namespace(enforce + "restricted"), policyOf(readOnly), binding(deny)}, "violates PodSecurity", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := road.Request{Object: toJSON(t, c.object), User: "mallory"}
			for _, o := range c.cluster {
				r.Cluster = append(r.Cluster, toJSON(t, o))
			}
			a, err := Decide(context.Background(), r)
			if err != nil {
				t.Fatal(err)
			}
			if a.Allowed != (c.want == "") || !strings.Contains(a.Message, c.want) {
				t.Errorf("allowed %v: %s\nwant %s", a.Allowed, a.Message, c.want)
			}
			if got := strings.Join(a.Warnings, "\n"); (c.warns == "") != (got == "") || !strings.Contains(got, c.warns) {
				t.Errorf("warns %q, want %q", got, c.warns)
			}
		})
	}
}

func toJSON(t *testing.T, text string) []byte {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestServe speaks to it as road does: a line that is no request gets its answer
// too, and the next one is served.
func TestServe(t *testing.T) {
	object := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[]}}`
	in := strings.NewReader("nonsense\n" + `{"object":{"kind":"Strange","apiVersion":"x/v1"}}` + "\n" + `{"object":` + object + "}\n")
	var out bytes.Buffer
	if err := Serve(in, &out); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(&out)
	for _, fault := range []string{"invalid character", "Strange", ""} {
		var a road.Answer
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(a.Fault, fault) || a.Allowed != (fault == "") {
			t.Errorf("%+v, want %q", a, fault)
		}
	}
}

// TestGroups holds what groups the API server knows of a user.
func TestGroups(t *testing.T) {
	for who, want := range map[string]string{
		"mallory":  "system:authenticated",
		road.Admin: "kubeadm:cluster-admins system:authenticated",
		"system:serviceaccount:kube-system:replicaset-controller": "system:serviceaccounts system:serviceaccounts:kube-system system:authenticated",
	} {
		if got := strings.Join(groups(who), " "); got != want {
			t.Errorf("%s: %s, want %s", who, got, want)
		}
	}
}
