package app

import "testing"

func TestWithoutDrop(t *testing.T) {
	for args, want := range map[string][2]string{
		`["gosu", "app", "python3", "app.py"]`:                           {"app", `["python3", "app.py"]`},
		`["tini", "--", "su-exec", "app:app", "/server"]`:                {"app:app", `["tini", "--", "/server"]`},
		`["setpriv","--reuid=app","--init-groups","--","/server", "-x"]`: {"app", `["/server", "-x"]`},
		`["runuser", "-u", "app", "--", "/server"]`:                      {"app", `["/server"]`},
		`exec gosu app python3 app.py --port $PORT`:                      {"app", `exec python3 app.py --port $PORT`},
		`gosu app /server`:                      {"app", `/server`},
		`["gosu", "app"]`:                       {}, // what follows stands elsewhere
		`["/server", "gosu", "app", "x"]`:       {},
		`["su", "app", "-c", "exec /server"]`:   {}, // a shell's line
		`["/server", "--"]`:                     {},
		`gosu app one && gosu app two`:          {}, // more than one
		`/server`:                               {},
		`[]`:                                    {},
		`["sh", "-c", "exec gosu app /server"]`: {},
	} {
		if user, rest := withoutDrop(args); user != want[0] || rest != want[1] {
			t.Errorf("%s: %q %q, want %q", args, user, rest, want)
		}
	}
}
