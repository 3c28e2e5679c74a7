package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// env gives a getenv for run.
func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestConfigure(t *testing.T) {
	got, err := configure(env(map[string]string{"REDIS_ADDR": "r:1", "REDIS_PASSWD": "p"}))
	if want := (config{"127.0.0.1:8080", "r:1", "p"}); err != nil || got != want {
		t.Errorf("got %v, %v, want %v: it must listen on loopback unless told otherwise", got, err, want)
	}
	_, err = configure(env(nil))
	for _, want := range []string{"REDIS_ADDR is not set", "REDIS_PASSWD is not set"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

func TestRunPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	err = run(t.Context(), env(map[string]string{
		"LISTEN": taken.Addr().String(), "REDIS_ADDR": "127.0.0.1:1", "REDIS_PASSWD": "p",
	}))
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("run on a port in use: %v", err)
	}
}

// Without Redis the server runs, says 500 and why, and stops when told.
func TestRunRedisDown(t *testing.T) {
	address := freeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, env(map[string]string{
			"LISTEN": address, "REDIS_ADDR": "127.0.0.1:1", "REDIS_PASSWD": "p",
		}))
	}()
	status, body := poll(t, "http://"+address+"/")
	if status != http.StatusInternalServerError || !strings.Contains(body, "connection refused") {
		t.Errorf("got %d %q, want 500 and the reason", status, body)
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("run ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("run did not end")
	}
}

// freeAddress gives a loopback address where nobody listened a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// poll asks until somebody answers.
func poll(t *testing.T, uri string) (status int, body string) {
	t.Helper()
	for range 100 {
		if response, err := http.Get(uri); err == nil {
			return response.StatusCode, read(t, response)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s never answered", uri)
	return 0, ""
}
