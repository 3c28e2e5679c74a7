package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "road/internal/render/build" // in this process
)

// folder makes files below a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, files)
	return dir
}

// overlay is a base with an overlay that uses it.
func overlay(more ...string) map[string]string {
	files := map[string]string{
		"shop/base/kustomization.yaml":          "resources: [web.yaml]\n",
		"shop/base/web.yaml":                    "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: shop/web:1}]}\n",
		"shop/overlays/prod/kustomization.yaml": "resources: [../../base]\n",
		"shop/app/Dockerfile":                   "FROM scratch\n",
	}
	for i := 0; i < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	return files
}

// TestConfigOfPath has the road.yaml of PATH count, with paths that start there,
// where the base makes the folder wider; and no other's.
func TestConfigOfPath(t *testing.T) {
	dir := folder(t, overlay(
		"shop/road.yaml", "apiVersion: road/v1\nnamespace: foreign\nnothing: known\n",
		"shop/overlays/prod/road.yaml", "apiVersion: road/v1\nnamespace: prod\ntarget: {kubernetes: \"1.30\"}\nkustomization: .\nimages: {shop/web: ../../app, b: {context: ../../app, dockerfile: ../nope}}\nexceptions:\n- {step: limits, workload: web, reason: r, until: 2100-01-01}\n"))
	a, err := Load(filepath.Join(dir, "shop/overlays/prod"))
	if err != nil {
		t.Fatal(err)
	}
	c := a.Config
	if a.Root != filepath.Join(dir, "shop") || a.Below != "overlays/prod" || c.Namespace != "prod" || c.Target.Minor != 30 || c.Kustomization != "overlays/prod" {
		t.Errorf("root %s, below %s, config %+v", a.Root, a.Below, c)
	}
	if i := a.Image("shop/web:1"); i == nil || i.Build == nil || i.Build.Context != "app" {
		t.Errorf("image %+v", i)
	}
	if len(a.Problems) != 1 || a.Problems[0].File != "overlays/prod/road.yaml" || a.Problems[0].Message != "image b: there is no overlays/nope" {
		t.Errorf("problems: %v", a.Problems)
	}
	x, err := a.Exceptions()
	if err != nil || len(x) != 1 || x[0].Pos.File != "overlays/prod/road.yaml" {
		t.Errorf("exceptions: %v, %v", x, err)
	}
	again, err := a.Reload(a.Files())
	if err != nil || again.Config.Namespace != "prod" {
		t.Errorf("anew: %v", err)
	}

	bad := folder(t, overlay("shop/overlays/prod/road.yaml", "apiVersion: road/v1\nwhat: x\n"))
	if _, err = Load(filepath.Join(bad, "shop/overlays/prod")); err == nil || !strings.HasPrefix(err.Error(), "road.yaml:2: ") {
		t.Errorf("got %v", err)
	}
}

// TestWiden reads no more than belongs to the application.
func TestWiden(t *testing.T) {
	far := overlay("infra/prod/kustomization.yaml", "resources: [../../shop/base]\n", "private/secret.yaml", "apiVersion: v1\n")
	dir := folder(t, far)
	prod := filepath.Join(dir, "infra/prod")
	if root, below := widen(prod); root != dir || below != "infra/prod" {
		t.Errorf("got %s, %s", root, below)
	}
	refused := func(what string) {
		t.Helper()
		if root, _ := widen(prod); root == dir {
			t.Errorf("%s: all of %s is read", what, root)
		}
		_, err := Load(prod)
		if err == nil || !strings.Contains(err.Error(), "leads out of the folder") {
			t.Errorf("%s: got %v", what, err)
		}
	}
	t.Setenv("HOME", dir)
	refused("a home")
	t.Setenv("HOME", filepath.Join(dir, "user"))
	refused("above a home")
	t.Setenv("HOME", "/nowhere")
	if err := os.Mkdir(filepath.Join(dir, "infra/.git"), 0o755); err != nil {
		t.Fatal(err)
	}
	refused("beside a repository")
}
