package pod

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestSandboxOneContainer(t *testing.T) {
	need(t)
	spec := one(":say", "$(GREETING), $(NOBODY)", ":serve", "8080")
	c := &spec.Containers[0]
	c.Env = []corev1.EnvVar{{Name: "GREETING", Value: "hello"}}
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt(8080)}}}
	o := newOptions(t, testImage(t, ocispec.ImageConfig{Env: []string{"FROM=image"}}, nil), spec)
	began := time.Now()
	p := launch(t, o)
	ready(t, p)
	t.Logf("ready after %v", time.Since(began))
	waitLog(t, p, "listening") // it passes through a pipe
	if got := p.Logs("web", 10); got != "hello, $(NOBODY)\nlistening" {
		t.Errorf("log %q", got)
	}
	env := run(t, p, ":env")
	for _, want := range []string{"FROM=image", "GREETING=hello", "HOSTNAME=web-0", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"} {
		if !strings.Contains(env, want) {
			t.Errorf("no %s in\n%s", want, env)
		}
	}
	if got := run(t, p, ":host", ":pwd"); got != "web-0\n/" {
		t.Errorf("host and directory %q", got)
	}
	if w, err := p.Written(""); err != nil || len(w) != 0 {
		t.Errorf("a container that wrote nothing: %v, %v", w, err)
	}
	began = time.Now()
	if err := p.Stop(0); err != nil {
		t.Fatal(err)
	}
	t.Logf("stopped after %v", time.Since(began))
}

func TestSandboxAgent(t *testing.T) {
	need(t)
	p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{User: "web"}, nil), one(":sleep", "1m")))
	ready(t, p)
	a, err := p.Agent(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	s := bufio.NewScanner(a)
	if !s.Scan() || !strings.HasSuffix(s.Text(), " 1000") {
		t.Fatalf("first line %q, %v", s.Text(), s.Err())
	}
	began := time.Now()
	for i := range 20 {
		fmt.Fprintf(a, "line %d\n", i)
		if want := fmt.Sprintf("got line %d", i); !s.Scan() || s.Text() != want {
			t.Fatalf("got %q, want %q: %v", s.Text(), want, s.Err())
		}
	}
	t.Logf("each line took %v", time.Since(began)/20)
}

// Several pods at once, started and stopped from several goroutines.
func TestSandboxManyPods(t *testing.T) {
	need(t)
	img := testImage(t, ocispec.ImageConfig{}, nil)
	for range 4 {
		o := newOptions(t, img, one(":serve", "8080"))
		o.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(8080)}}}
		t.Run("", func(t *testing.T) {
			t.Parallel()
			p := launch(t, o)
			ready(t, p)
			if got := run(t, p, ":host"); got != "web-0" {
				t.Errorf("host name %q", got)
			}
		})
	}
}

// BenchmarkSandboxStart is the time from the call to the app's first answer.
func BenchmarkSandboxStart(b *testing.B) {
	need(b)
	img := testImage(b, ocispec.ImageConfig{}, nil)
	for b.Loop() {
		b.StopTimer()
		o := newOptions(b, img, one(":serve", "8080"))
		b.StartTimer()
		p, err := Start(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		for {
			c, err := o.Dial(b.Context(), "tcp", "127.0.0.1:8080")
			if err == nil {
				c.Close()
				break
			}
			time.Sleep(500 * time.Microsecond)
		}
		b.StopTimer()
		p.Stop(0)
		b.StartTimer()
	}
}
