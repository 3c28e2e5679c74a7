package world

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain is also the program that the tests run in worlds of their own: a
// process started with ROAD_TEST_PLAY does that play and nothing else.
func TestMain(m *testing.M) {
	Main()
	if name := os.Getenv("ROAD_TEST_PLAY"); name != "" {
		os.Exit(play(name))
	}
	os.Exit(m.Run())
}

// play enters a world, and is its worker then.
func play(name string) int {
	if Inside() != nil {
		return plays[name](Inside())
	}
	o := Options{
		State:  os.Getenv("ROAD_TEST_STATE"),
		Detach: strings.HasPrefix(name, "detached"),
		Ready:  func(info json.RawMessage) { fmt.Printf("ready %s\n", info) },
		Note:   func(err error) { fmt.Println("note:", err) },
	}
	status, err := Enter(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "enter:", status, err)
		return 100
	}
	return status
}

// plays are what a worker does.
var plays = map[string]func(*World) int{
	"exit": func(*World) int { n, _ := strconv.Atoi(os.Getenv("ROAD_TEST_STATUS")); return n },
	"killed": func(*World) int {
		unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	},
	"show": func(w *World) int {
		json.NewEncoder(os.Stdout).Encode(seen(w))
		return 0
	},
	"disk": func(w *World) int {
		var st unix.Statfs_t
		err := unix.Statfs(w.Disk, &st)
		held := int64(st.Flags) & (unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC)
		fmt.Printf("%v held back: %#x, umask %#o\n", err, held, unix.Umask(0))
		return 0
	},
	// Makes some of everything and waits for its end.
	"busy":     func(w *World) int { return busy(w) },
	"detached": func(w *World) int { return busy(w) },
	"detached-fails": func(*World) int {
		fmt.Println("no such thing as a port 99999")
		return 3
	},
	"detached-waits": func(*World) int {
		fmt.Println("waiting")
		time.Sleep(time.Hour)
		return 0
	},
	// Ends as one that cleans up does.
	"patient": func(w *World) int {
		c := make(chan os.Signal, 4)
		signal.Notify(c, unix.SIGINT, unix.SIGTERM)
		w.Ready("up")
		s := <-c
		time.Sleep(200 * time.Millisecond)
		fmt.Println("got", s, 1+len(c))
		return 130
	},
	// Does not end however it is asked.
	"stubborn": func(w *World) int {
		signal.Ignore(unix.SIGINT, unix.SIGTERM)
		w.Ready("up")
		time.Sleep(time.Hour) // select {} alone is a deadlock to the runtime
		return 0
	},
}
