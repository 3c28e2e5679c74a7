package app

import "testing"

// TestBefore finds what a collected image was before, and takes no builder of one
// program for it.
func TestBefore(t *testing.T) {
	for content, want := range map[string]string{
		"FROM debian AS build\nRUN x\nFROM build AS minimal\nRUN y\nFROM scratch\nCOPY --from=minimal /minimal /\nCOPY --from=build /etc/x /etc/x\n": "build",
		"FROM golang AS build\nRUN x\nFROM scratch\nCOPY --from=build /web /web\n":                                                                   "",
		"FROM golang AS build\nRUN x\nFROM scratch\nCOPY --from=build /web /\n":                                                                      "",
		"FROM debian AS build\nRUN x\nFROM build AS minimal\nFROM debian\nCOPY --from=minimal /minimal /\n":                                          "",
		"FROM scratch\nCOPY web /\n":                               "",
		"FROM scratch\nCOPY --from=example.com/tools:1 /tools /\n": "",
	} {
		d, err := ParseDockerfile("Dockerfile", []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if s := d.Before(d.Final("")); s != nil {
			got = s.Name
		}
		if got != want {
			t.Errorf("%s\n%q, want %q", content, got, want)
		}
	}
}
