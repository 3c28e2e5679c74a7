package app

import (
	"fmt"
	"testing"
)

// TestHome has manifests that name no namespace land where road.yaml says.
func TestHome(t *testing.T) {
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: p%s}\nspec: {containers: [{name: c, image: i}]}\n"
	for _, c := range []struct{ config, namespace, want string }{
		{"", "", "default"},
		{"apiVersion: road/v1\nnamespace: shop\n", "", "shop"},
		{"apiVersion: road/v1\nnamespace: shop\n", ", namespace: other", "other"},
	} {
		files := map[string][]byte{"p.yaml": []byte(fmt.Sprintf(pod, c.namespace))}
		if c.config != "" {
			files[FileName] = []byte(c.config)
		}
		a, err := LoadFiles("test", files)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Workloads[0].Home(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	for _, name := range []string{"Shop", "a.b", "-x", `"a b"`} {
		if _, err := LoadFiles("test", map[string][]byte{FileName: []byte("apiVersion: road/v1\nnamespace: " + name + "\n")}); err == nil {
			t.Errorf("the namespace %s is taken", name)
		}
	}
}
