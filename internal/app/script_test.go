package app

import "testing"

func TestRootActs(t *testing.T) {
	for _, c := range []struct{ script, user, want string }{
		{`exec gosu app "$@"`, "app", `exec "$@"`},
		{`exec su-exec app:app python3 x.py`, "app:app", `exec python3 x.py`},
		{`gosu "$USER" a && b`, "$USER", `a && b`},
		{`exec setpriv --reuid=www-data --regid www-data --init-groups -- nginx -g x`, "www-data", `exec nginx -g x`},
		{`exec setpriv --reuid 33 --clear-groups nginx`, "33", `exec nginx`},
		{`exec runuser -u app -- "$@"`, "app", `exec "$@"`},
		{`su -s /bin/bash app -c 'exec run "$0"' -- "$@"`, "app", `/bin/bash -c 'exec run "$0"' "$@"`},
		{`exec su - app -c "run it"`, "app", `exec /bin/sh -c "run it"`},
		{`su -s /bin/sh -c 'run it' www-data`, "www-data", `/bin/sh -c 'run it'`},
		{`exec chroot --userspec=app:app / run it`, "app:app", `exec run it`},
		{`exec s6-setuidgid app run`, "app", `exec run`},
		{`exec chpst -u app run`, "app", `exec run`},
		{`exec sudo -E -u app run`, "app", `exec run`},
		{`mkdir -p x && chown -R app:app x`, "app:app", `mkdir -p x && : chown -R app:app x`},
		{`chgrp app x`, "", `: chgrp app x`},
		{`echo gosu app`, "-", ``},
		{`sudo apt-get install x`, "-", ``},
		{`su`, "-", ``},
		{`gosu --version`, "-", ``},
	} {
		s := &Script{"run.sh", []byte("#!/bin/sh\nset -e\n" + c.script + "\n")}
		acts := s.RootActs()
		if c.user == "-" {
			if len(acts) != 0 {
				t.Errorf("%s: %+v", c.script, acts)
			}
			continue
		}
		if len(acts) != 1 || acts[0].User != c.user || acts[0].Line != 3 || acts[0].Guarded {
			t.Errorf("%s: %+v", c.script, acts)
			continue
		}
		if got := s.WithoutRoot(acts); len(got) != 1 || got[3] != c.want {
			t.Errorf("%s: %v", c.script, got)
		}
	}
}

// A command that only root comes by is no hindrance to another user.
func TestGuarded(t *testing.T) {
	for script, want := range map[string]bool{
		"if [ \"$(id -u)\" = 0 ]; then exec gosu app \"$0\" \"$@\"; fi":                            true,
		"if [ \"$1\" = run -a \"$(id -u)\" = '0' ]; then\n\texec gosu app \"$0\"\nfi":              true,
		"if [[ $EUID -eq 0 ]]; then exec gosu app x; else exec x; fi":                              true,
		"if (( EUID == 0 )); then exec gosu app x; fi":                                             true,
		"if [ \"$(whoami)\" != root ]; then exec x; else exec gosu app x; fi":                      true,
		"[ \"$(id -u)\" = 0 ] && exec gosu app x":                                                  true,
		"[ \"$(id -u)\" != 0 ] || exec gosu app x":                                                 true,
		"if [ \"$(id -u)\" != 0 ]; then\n\texec \"$@\"\nfi\nexec gosu app x":                       true,
		"if [ \"$(id -u)\" != 0 ]; then\n\techo no root\nfi\nexec gosu app x":                      false,
		"if [ \"$1\" = 0 ]; then exec gosu app x; fi":                                              false,
		"if [ \"$(id -u)\" != 0 ]; then exec gosu app x; fi":                                       false,
		"if true; then a; elif [ \"$(id -u)\" = 0 ]; then exec gosu app x; fi":                     true,
		"run() {\n\texec gosu app x\n}\nrun":                                                       false,
		"case $1 in\nrun) exec gosu app x;;\nesac":                                                 false,
		"if [ -w / ]; then exec gosu app x; fi":                                                    false,
		"for f in a b; do chown app $f; done":                                                      false,
		"if [ `id -u` -eq 0 ]; then for f in a b; do chown app $f; done; fi":                       true,
		"uid=$(id -u)\nif [ \"$uid\" = 0 ]; then exec gosu app x; fi # said with another variable": false,
	} {
		acts := (&Script{"run.sh", []byte("#!/bin/bash\n" + script + "\n")}).RootActs()
		if len(acts) != 1 || acts[0].Guarded != want {
			t.Errorf("%s: %+v, want guarded %v", script, acts, want)
		}
	}
}

func TestScriptsOfABuild(t *testing.T) {
	files := map[string][]byte{
		"web/Dockerfile":   []byte("FROM debian\nCOPY . /\nENTRYPOINT [\"/usr/local/bin/start.sh\", \"-x\"]\n"),
		"web/bin/start.sh": []byte("#!/bin/sh\nexec gosu app run\n"), "db/start.sh": []byte("#!/bin/sh\n"),
		"web/start.sh.txt": []byte("#!/bin/sh\n"), "web/python/start.sh": []byte("#!/usr/bin/python3\n"),
		"pod.yaml": []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: web}]}\n"),
	}
	a, err := LoadFiles("test", files)
	if err != nil || a.Images[0].Build == nil {
		t.Fatal(err, a.Problems)
	}
	list := a.Scripts(a.Images[0].Build)
	if len(list) != 1 || list[0].File != "web/bin/start.sh" {
		t.Errorf("%+v", list)
	}
	if again, err := LoadFiles("test", a.Files()); err != nil || len(again.Scripts(again.Images[0].Build)) != 1 {
		t.Error("what it was loaded from lacks the script")
	}
}

// Several acts of one line change it once, and what spans lines is left alone.
func TestWithoutRoot(t *testing.T) {
	s := &Script{"run.sh", []byte("#!/bin/sh\nchown app /a; exec gosu app run # and go\n")}
	if got := s.WithoutRoot(s.RootActs()); len(got) != 1 || got[2] != ": chown app /a; exec run # and go" {
		t.Errorf("%v", got)
	}
	s = &Script{"run.sh", []byte("#!/bin/sh\nexec setpriv \\\n\t--reuid=app \\\n\trun\n")}
	if got := s.WithoutRoot(s.RootActs()); got != nil {
		t.Errorf("%v", got)
	}
	if acts := (&Script{"run.sh", []byte("#!/bin/sh\nif\n")}).RootActs(); acts != nil {
		t.Errorf("%+v", acts)
	}
}
