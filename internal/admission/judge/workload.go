package judge

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// completeWorkload gives what makes pods the values that the API server fills in.
func completeWorkload(o runtime.Object) {
	switch t := o.(type) {
	case *appsv1.Deployment:
		completeDeployment(&t.Spec)
	case *appsv1.ReplicaSet:
		fill(&t.Spec.Replicas, 1)
		completePodSpec(&t.Spec.Template.Spec)
	case *appsv1.StatefulSet:
		completeStatefulSet(&t.Spec)
	case *appsv1.DaemonSet:
		completeDaemonSet(&t.Spec)
	case *corev1.ReplicationController:
		fill(&t.Spec.Replicas, 1)
		if template := t.Spec.Template; template != nil {
			completePodSpec(&template.Spec)
			borrow(&t.Spec.Selector, template.Labels)
			borrow(&t.Labels, template.Labels)
		}
	case *batchv1.Job:
		completeJob(&t.Spec)
		borrow(&t.Labels, t.Spec.Template.Labels)
	case *batchv1.CronJob:
		word(&t.Spec.ConcurrencyPolicy, batchv1.AllowConcurrent)
		fill(&t.Spec.Suspend, false)
		fill(&t.Spec.SuccessfulJobsHistoryLimit, 3)
		fill(&t.Spec.FailedJobsHistoryLimit, 1)
		completePodSpec(&t.Spec.JobTemplate.Spec.Template.Spec) // the job itself is completed when it is made
	}
}

// borrow takes the template's labels where there are none.
func borrow(labels *map[string]string, from map[string]string) {
	if len(*labels) == 0 {
		*labels = from
	}
}

func completeDeployment(s *appsv1.DeploymentSpec) {
	fill(&s.Replicas, 1)
	fill(&s.RevisionHistoryLimit, 10)
	fill(&s.ProgressDeadlineSeconds, 600)
	word(&s.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	if s.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		fill(&s.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
		fill(&s.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
		fill(&s.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
	}
	completePodSpec(&s.Template.Spec)
}

func completeStatefulSet(s *appsv1.StatefulSetSpec) {
	fill(&s.Replicas, 1)
	fill(&s.RevisionHistoryLimit, 10)
	word(&s.PodManagementPolicy, appsv1.OrderedReadyPodManagement)
	if s.UpdateStrategy.Type == "" {
		s.UpdateStrategy.Type = appsv1.RollingUpdateStatefulSetStrategyType
		fill(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{})
	}
	if u := s.UpdateStrategy; u.Type == appsv1.RollingUpdateStatefulSetStrategyType && u.RollingUpdate != nil {
		fill(&u.RollingUpdate.Partition, 0)
	}
	fill(&s.PersistentVolumeClaimRetentionPolicy, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
	word(&s.PersistentVolumeClaimRetentionPolicy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	word(&s.PersistentVolumeClaimRetentionPolicy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	for i := range s.VolumeClaimTemplates {
		fill(&s.VolumeClaimTemplates[i].Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	}
	completePodSpec(&s.Template.Spec)
}

func completeDaemonSet(s *appsv1.DaemonSetSpec) {
	fill(&s.RevisionHistoryLimit, 10)
	word(&s.UpdateStrategy.Type, appsv1.RollingUpdateDaemonSetStrategyType)
	if s.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		fill(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
		fill(&s.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
		fill(&s.UpdateStrategy.RollingUpdate.MaxSurge, intstr.FromInt32(0))
	}
	completePodSpec(&s.Template.Spec)
}

func completeJob(s *batchv1.JobSpec) {
	if s.Parallelism == nil { // with neither, one pod once; without this alone, one at a time
		fill(&s.Completions, 1)
	}
	fill(&s.Parallelism, 1)
	fill(&s.BackoffLimit, 6)
	fill(&s.CompletionMode, batchv1.NonIndexedCompletion)
	fill(&s.Suspend, false)
	if s.PodFailurePolicy != nil {
		fill(&s.PodReplacementPolicy, batchv1.Failed)
	}
	fill(&s.PodReplacementPolicy, batchv1.TerminatingOrFailed)
	completePodSpec(&s.Template.Spec)
}
