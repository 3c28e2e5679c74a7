package step

import "k8s.io/apimachinery/pkg/labels"

// Labels are what a selector looks at: the API's own, which no step may import.
type Labels = labels.Set
