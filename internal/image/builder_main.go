package image

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/grpclog"
)

// builderMain is the whole life of the builder process; it gives the exit status.
func builderMain() int {
	var o builderOptions
	if len(os.Args) != 2 || json.Unmarshal([]byte(os.Args[1]), &o) != nil {
		fmt.Fprintln(os.Stderr, "not meant to be started by hand")
		return 2
	}
	logrus.SetLevel(logrus.ErrorLevel)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, os.Stderr))
	if err := serve(o, os.Stdin, os.NewFile(3, "replies")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// serve answers requests from in until its end.
func serve(o builderOptions, in io.Reader, out io.Writer) error {
	unix.CloseOnExec(3)
	replies := &replier{enc: json.NewEncoder(out)}
	if err := isolateMounts(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	requests := make(chan request, 1024) // so that the end of input is seen while waiting for the lock
	go readRequests(in, requests, cancel)
	lock, err := lockBuilder(ctx, o, replies)
	if err != nil {
		return err
	}
	defer lock.Close()
	defer removeCgroups(o.CgroupParent)
	bin, err := sweepBuilder(o)
	if err != nil {
		return err
	}
	bk, err := newBuildKit(ctx, o, bin)
	if err != nil {
		return fmt.Errorf("start BuildKit: %w", err)
	}
	defer bk.Close()
	answer(ctx, bk, requests, replies)
	return nil
}

// answer runs builds until requests ends, then waits for those that run to be
// cancelled.
func answer(ctx context.Context, bk *buildKit, requests <-chan request, replies *replier) {
	var wg sync.WaitGroup
	defer wg.Wait()
	cancels := map[int]context.CancelFunc{}
	for r := range requests {
		if r.Cancel {
			if c := cancels[r.ID]; c != nil {
				c()
			}
			continue
		}
		bctx, c := context.WithCancel(ctx)
		cancels[r.ID] = c
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer c()
			res, err := bk.do(bctx, r, func(line string) { replies.send(reply{ID: r.ID, Line: line}) })
			if err != nil {
				var b *BuildError
				if !errors.As(err, &b) {
					b = &BuildError{Reason: err.Error()}
				}
				replies.send(reply{ID: r.ID, Error: b})
				return
			}
			replies.send(reply{ID: r.ID, Result: res})
		}()
	}
}

func (bk *buildKit) do(ctx context.Context, r request, say func(string)) (*buildResult, error) {
	if r.Prune > 0 {
		return bk.prune(ctx, r.Prune)
	}
	return bk.build(ctx, r.Build, say)
}

// readRequests ends the builder, cancel, when the input ends: its parent is gone
// or wants no more.
func readRequests(in io.Reader, requests chan<- request, cancel func()) {
	defer cancel()
	defer close(requests)
	d := json.NewDecoder(bufio.NewReader(in))
	for {
		var r request
		if err := d.Decode(&r); err != nil {
			return
		}
		requests <- r
	}
}

type replier struct {
	mu  sync.Mutex
	enc *json.Encoder
}

// send ignores errors: nobody is left to be told.
func (r *replier) send(v reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enc.Encode(v)
}

// lockBuilder takes BuildKit's root for this process. BuildKit itself would wait
// for ever, and say nothing.
func lockBuilder(ctx context.Context, o builderOptions, replies *replier) (*os.File, error) {
	name := filepath.Join(o.Root, "lock")
	f, err := lockAlone(ctx, name, func() {
		who := ""
		if b, err := os.ReadFile(name); err == nil && len(b) > 0 {
			if string(b) == strconv.Itoa(o.PID) {
				return // this store's last builder, on its way out
			}
			who = " (pid " + string(b) + ")"
		}
		replies.send(reply{Line: "waiting for another road that is building" + who})
	})
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(o.PID)), 0)
		if err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// sweepBuilder removes what a killed builder left, and gives the runtime that
// build steps are run by: runc, with its state below the root.
func sweepBuilder(o builderOptions) (runtime string, err error) {
	removeCgroups(o.CgroupParent)
	executor := filepath.Join(o.Root, "runc-overlayfs", "executor")
	entries, _ := os.ReadDir(executor)
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), "hosts.") {
			os.RemoveAll(filepath.Join(executor, e.Name()))
		}
	}
	state := filepath.Join(o.Root, "runc")
	if err := os.RemoveAll(state); err != nil {
		return "", err
	}
	if err := os.Mkdir(state, 0o700); err != nil {
		return "", err
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return "", err
	}
	runtime = filepath.Join(state, "run")
	script := fmt.Sprintf("#!/bin/sh\nexec %s --root %s \"$@\"\n", quote(runc), quote(filepath.Join(state, "state")))
	return runtime, os.WriteFile(runtime, []byte(script), 0o700)
}

// quote makes s one word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// removeCgroups removes the cgroups of build steps in every hierarchy. A killed
// step may still be on its way out, so it tries for a moment.
func removeCgroups(parent string) {
	var dirs []string
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		tops, _ := filepath.Glob(filepath.Join(pattern, parent))
		for _, top := range tops {
			filepath.WalkDir(top, func(p string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, p)
				}
				return nil
			})
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(dirs))) // children before parents
	deadline := time.Now().Add(time.Second)
	for _, d := range dirs {
		for unix.Rmdir(d) == unix.EBUSY && time.Now().Before(deadline) {
			time.Sleep(2 * time.Millisecond)
		}
	}
}
