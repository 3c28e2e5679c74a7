package judge

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ofTheCluster are the kinds of Kubernetes' own whose objects are in no namespace
// (kubectl api-resources --namespaced=false). The objects themselves cannot tell:
// a policy's parameters may be missing.
var ofTheCluster = kinds(
	"Namespace", "Node", "PersistentVolume", "ComponentStatus",
	"ClusterRole", "ClusterRoleBinding", "CertificateSigningRequest", "ClusterTrustBundle",
	"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
	"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration",
	"FlowSchema", "PriorityLevelConfiguration", "PriorityClass", "RuntimeClass",
	"IngressClass", "IPAddress", "ServiceCIDR",
	"CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass",
	"DeviceClass", "DeviceTaintRule", "ResourceSlice", "StorageVersion", "StorageVersionMigration",
)

func kinds(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

// scopeOf says whether a kind's objects are in namespaces.
func scopeOf(kind schema.GroupVersionKind) meta.RESTScope {
	if ofTheCluster[kind.Kind] {
		return meta.RESTScopeRoot
	}
	return meta.RESTScopeNamespace
}
