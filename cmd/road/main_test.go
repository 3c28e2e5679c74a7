package main

import (
	"net"
	"os"
	"strconv"
	"testing"

	"road/internal/cli"
	_ "road/internal/render/build" // the test's own program is road, and road-render does not lie beside it

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"road":         func() { os.Exit(cli.Main()) },
		"kubectl-road": func() { os.Exit(cli.Main()) },
	})
}

// TestScript tells stories of the command line: one for every output and every
// hint.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: func(e *testscript.Env) error { e.Setenv("NO_COLOR", "1"); return nil },
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"status": status, "occupy": occupy},
	})
}

// status runs road and wants the given exit status: status 2 road check nope.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND...")
	}
	err := ts.Exec("sh", append([]string{"-c", `"$@"; code=$?; [ $code = "$0" ] || { echo "exit status $code, want $0" >&2; exit 1; }`}, args...)...)
	if err != nil {
		ts.Fatalf("%s", ts.ReadFile("stderr"))
	}
}

// occupy takes a port on 127.0.0.1 for the rest of the script and puts its
// number into a variable: occupy PORT.
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy VARIABLE")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}
