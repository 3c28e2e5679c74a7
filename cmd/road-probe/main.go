// Road-probe acts inside a container as the app would if its attacker had loaded
// code into it. Road starts it there, with exactly the settings of the app's own
// process, and tells it line by line what to do; package probe is the language.
//
// It is small and static, so that it starts within two milliseconds and needs
// nothing of the image. For that it does without package net, os/user and all
// else that brings in the C library: a test looks.
//
//	road-probe [agent]      serve requests, one a line, until standard input ends
//	road-probe hold         wait ten minutes, to be seen by others
//	road-probe VERB [ARGS]  do one thing: road-probe read '{"path": "/etc/passwd"}'
//
// ROAD_PROBE=hold in the environment has it hold whatever its arguments are, for
// an image in which it takes another program's place.
//
// The exit status of a verb is 0, 1 where it failed, 2 where it was not understood.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"road/internal/probe"
)

func main() {
	verb := "agent"
	if len(os.Args) > 1 {
		verb = os.Args[1]
	}
	if os.Getenv("ROAD_PROBE") == "hold" {
		verb = "hold"
	}
	switch verb {
	case "agent":
		if err := newAgent(os.Stdout).serve(os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, "road-probe:", err)
			os.Exit(1)
		}
	case "hold":
		time.Sleep(10 * time.Minute)
	case childAlloc, childSpin:
		os.Exit(runChild(os.Args[1:]))
	default:
		os.Exit(once(verb, os.Args[2:]))
	}
}

// once does one thing and prints its result: a string as it is, else as JSON.
func once(verb string, args []string) int {
	do, ok := verbs[verb]
	if !ok || len(args) > 1 {
		fmt.Fprintf(os.Stderr, "usage: road-probe [agent | hold | VERB [JSON]]\n")
		return 2
	}
	var raw json.RawMessage
	if len(args) == 1 {
		raw = json.RawMessage(args[0])
	}
	a := newAgent(os.Stdout)
	defer a.close()
	result, err := do(context.Background(), a, raw)
	if err != nil {
		fmt.Fprintln(os.Stderr, asError(verb, err))
		return 1
	}
	switch result := result.(type) {
	case nil:
	case string:
		fmt.Print(result)
	case probe.ReadResult:
		os.Stdout.Write(result.Data)
	default:
		out, err := json.MarshalIndent(result, "", "  ")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(string(out))
	}
	return 0
}
