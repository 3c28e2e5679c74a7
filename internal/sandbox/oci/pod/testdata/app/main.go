// App is what the tests run in containers: each argument that starts with a
// colon begins a command, so one program can do several things in a row.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var commands = map[string]func(args []string) error{
	":env": func([]string) error {
		e := os.Environ()
		sort.Strings(e)
		fmt.Println(strings.Join(e, "\n"))
		return nil
	},
	":args":    func(a []string) error { fmt.Printf("%q\n", a); return nil },
	":cat":     cat,
	":ls":      ls,
	":stat":    stat,
	":write":   write,
	":fill":    fill,
	":open":    open,
	":mkdir":   func(a []string) error { return os.MkdirAll(a[0], 0o755) },
	":rm":      func(a []string) error { return os.Remove(a[0]) },
	":chmod":   func(a []string) error { m, _ := strconv.ParseUint(a[1], 8, 32); return os.Chmod(a[0], os.FileMode(m)) },
	":chown":   func(a []string) error { n, _ := strconv.Atoi(a[1]); return os.Chown(a[0], n, n) },
	":link":    func(a []string) error { return os.Symlink(a[0], a[1]) },
	":mkfifo":  func(a []string) error { return syscall.Mkfifo(a[0], 0o666) },
	":pwd":     func([]string) error { d, err := os.Getwd(); fmt.Println(d); return err },
	":host":    func([]string) error { h, err := os.Hostname(); fmt.Println(h); return err },
	":sleep":   func(a []string) error { d, err := time.ParseDuration(a[0]); time.Sleep(d); return err },
	":exit":    func(a []string) error { n, _ := strconv.Atoi(a[0]); os.Exit(n); return nil },
	":count":   count,
	":wait":    wait,
	":serve":   serve,
	":healthy": healthy,
	":alloc":   alloc,
	":child":   child,
	":spin": func([]string) error {
		for {
		}
	},
	":mounts":  func([]string) error { return cat([]string{"/proc/self/mountinfo"}) },
	":unshare": func([]string) error { return syscall.Unshare(0x10000000) },
	":become":  become,
	":nice":    func([]string) error { return syscall.Setpriority(0, 0, -5) },
	":echo":    func([]string) error { _, err := io.Copy(os.Stdout, os.Stdin); return err },
	":say":     func(a []string) error { fmt.Println(strings.Join(a, " ")); return nil },
}

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "agent" { // as the probe would
		s := bufio.NewScanner(os.Stdin)
		fmt.Println("hello", os.Getpid(), os.Getuid())
		for s.Scan() {
			fmt.Println("got", s.Text())
		}
		return
	}
	for len(args) > 0 {
		n := 1
		for n < len(args) && !strings.HasPrefix(args[n], ":") {
			n++
		}
		do := commands[args[0]]
		if do == nil {
			fmt.Println("no such command:", args[0])
			os.Exit(99)
		}
		if err := do(args[1:n]); err != nil {
			fmt.Println("error:", err)
			os.Exit(3)
		}
		args = args[n:]
	}
}

func cat(args []string) error {
	for _, a := range args {
		b, err := os.ReadFile(a)
		if err != nil {
			return err
		}
		os.Stdout.Write(b)
	}
	return nil
}

// ls lists names, one a line.
func ls(args []string) error {
	es, err := os.ReadDir(args[0])
	for _, e := range es {
		fmt.Println(e.Name())
	}
	return err
}

// stat shows "path mode uid:gid", links followed.
func stat(args []string) error {
	for _, a := range args {
		st, err := os.Stat(a)
		if err != nil {
			return err
		}
		s := st.Sys().(*syscall.Stat_t)
		fmt.Printf("%s %o %d:%d\n", a, s.Mode&0o7777, s.Uid, s.Gid)
	}
	return nil
}

// write writes a file; a failure is told but does not end the program.
func write(args []string) error {
	err := os.WriteFile(args[0], []byte(strings.Join(args[1:], " ")), 0o644)
	if err != nil {
		fmt.Println("write:", err)
	} else {
		fmt.Println("wrote", args[0])
	}
	return nil
}

// fill makes a file of so many bytes.
func fill(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], make([]byte, n), 0o644)
}

// open opens a file for writing, in both ways, and writes nothing; a failure is
// told but does not end the program.
func open(args []string) error {
	for _, flag := range []int{os.O_WRONLY, os.O_RDWR} {
		if f, err := os.OpenFile(args[0], flag|os.O_CREATE, 0o644); err == nil {
			fmt.Println("opened", args[0])
			return f.Close()
		} else if flag == os.O_RDWR {
			fmt.Println("open:", err)
		}
	}
	return nil
}

// count adds one to the number in a file and fails while it is below the second
// argument.
func count(args []string) error {
	b, _ := os.ReadFile(args[0])
	n, _ := strconv.Atoi(string(b))
	n++
	if err := os.WriteFile(args[0], []byte(strconv.Itoa(n)), 0o644); err != nil {
		return err
	}
	fmt.Println("count", n)
	if want, _ := strconv.Atoi(args[1]); n < want {
		os.Exit(1)
	}
	return nil
}

// wait waits for a signal, says which, and writes it to the file that is named.
func wait(args []string) error {
	ch := make(chan os.Signal, 4)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGUSR1)
	fmt.Println("waiting")
	s := <-ch
	fmt.Println("signal", s)
	if len(args) > 0 && args[0] == "ignore" {
		select {}
	}
	if len(args) > 0 {
		return os.WriteFile(args[0], []byte(s.String()), 0o644)
	}
	return nil
}

var health = "/healthy"

// serve answers on a port: /healthz is 200 while the file /healthy is missing.
func serve(args []string) error {
	if len(args) > 1 {
		d, _ := time.ParseDuration(args[1])
		time.Sleep(d)
	}
	http.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		if _, err := os.Stat("/unhealthy"); err == nil {
			w.WriteHeader(500)
		}
		fmt.Fprintln(w, r.UserAgent())
	})
	l, err := net.Listen("tcp", ":"+args[0])
	if err != nil {
		return err
	}
	fmt.Println("listening")
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGTERM)
	go func() { <-ch; os.Exit(0) }()
	return http.Serve(l, nil)
}

// healthy succeeds if the file exists.
func healthy(args []string) error { _, err := os.Stat(args[0]); return err }

// alloc touches so many MiB.
func alloc(args []string) error {
	n, _ := strconv.Atoi(args[0])
	var all [][]byte
	for i := 0; i < n; i++ {
		b := make([]byte, 1<<20)
		for j := 0; j < len(b); j += 4096 {
			b[j] = 1
		}
		all = append(all, b)
	}
	fmt.Println("allocated", len(all))
	return nil
}

// become gives up root after a while.
func become(args []string) error {
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	time.Sleep(d)
	id, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	if err := syscall.Setgid(id); err != nil {
		return err
	}
	return syscall.Setuid(id)
}

// child runs this program again with the arguments and does not mind how it ends.
func child(args []string) error {
	for i, a := range args {
		args[i] = strings.Replace(a, "@", ":", 1)
	}
	exe, _ := filepath.Abs("/proc/self/exe")
	c := exec.Command(exe, args...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	fmt.Println("child:", c.Run())
	return nil
}
