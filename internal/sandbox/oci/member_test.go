package oci

import "testing"

func TestPodID(t *testing.T) {
	for name, want := range map[string]string{
		"redis-0":      "redis-0-7",
		"Web_1":        "web-1-7",
		"":             "pod-7",
		"--root":       "root-7", // no option of the runtime
		"../../../etc": "etc-7",
		"a/../../etc":  "a-..-..-etc-7",
		"0123456789012345678901234567890123456789012345678-x": "0123456789012345678901234567890123456789012345678-7",
	} {
		if got := podID(name, 7); got != want {
			t.Errorf("podID(%q) = %q, want %q", name, got, want)
		}
	}
}
