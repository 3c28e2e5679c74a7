package serviceaccount

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"road/internal/probe"
	"road/internal/step"
)

// token gives one with this content; nobody looks at its signature here.
func token(content string) string {
	return "eyJhbGciOiJFUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(content)) + ".c2ln"
}

func TestJudgeToken(t *testing.T) {
	now := time.Unix(1000, 0)
	good := token(`{"sub":"system:serviceaccount:road:default","exp":4607,"kubernetes.io":{"pod":{"name":"web-1"}}}`)
	who, read, err := judgeToken(good+"\n", now)
	if err != nil || who != "system:serviceaccount:road:default" || !strings.Contains(read, "the token of system:serviceaccount:road:default, pod web-1, good for 1h0m0s more") {
		t.Errorf("%s, %s, %v", who, read, err)
	}
	if strings.Contains(read, good[:30]) {
		t.Errorf("the token is in the evidence: %s", read)
	}
	for _, text := range []string{"", "a.b", "a.b.c", token("{"), token(`{"sub":"alice","exp":4607}`), token(`{"sub":"system:serviceaccount:a:b","exp":999}`)} {
		if who, _, err := judgeToken(text, now); err == nil {
			t.Errorf("%q: %s", text, who)
		}
	}
}

// TestJudgeAnswer counts what names the account, and nothing else.
func TestJudgeAnswer(t *testing.T) {
	const who = "system:serviceaccount:road:web"
	for _, c := range []struct {
		code int
		body string
		want step.Verdict
	}{
		{200, `{"items":[]}`, step.Succeeded},
		{403, `{"message":"secrets is forbidden: User \"system:serviceaccount:road:web\" cannot list resource"}`, step.Succeeded},
		{403, `{"message":"secrets is forbidden: User \"system:anonymous\" cannot list resource"}`, ""},
		{401, `{"message":"Unauthorized"}`, ""},
		{400, `Client sent an HTTP request to an HTTPS server.`, ""},
	} {
		out, err := judgeAnswer(c.code, []byte(c.body), "GET /x", who)
		if out.Verdict != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%d %s: %+v, %v", c.code, c.body, out, err)
		}
	}
}

// TestJudgeSilence has a slow answer, and a call that the API saw, not count as
// blocked.
func TestJudgeSilence(t *testing.T) {
	late := func(op string) error {
		return &url.Error{Op: "Get", URL: "https://10.96.0.1", Err: &probe.Error{Op: op, Path: "10.96.0.1:443", Errno: int(syscall.ETIMEDOUT), Message: "Connection timed out"}}
	}
	for name, c := range map[string]struct {
		err  error
		seen int
		want step.Verdict
	}{
		"no connection":           {late("connect"), 0, step.Blocked},
		"the API saw it":          {late("connect"), 1, ""},
		"a slow handshake":        {late("read"), 0, ""},
		"the probe did not start": {fmt.Errorf("the probe could not start: %w", context.DeadlineExceeded), 0, ""},
	} {
		out, err := judgeSilence(c.err, "10.96.0.1:443", c.seen)
		if out.Verdict != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
}

func TestJudgeVariables(t *testing.T) {
	api := "KUBERNETES_SERVICE_HOST=10.96.0.1"
	for _, c := range []struct {
		env  []string
		want step.Verdict
	}{
		{[]string{api, "REDIS_SERVICE_HOST=10.96.1.2", "REDIS_SERVICE_PORT=6379"}, step.Succeeded},
		{[]string{api, "PATH=/bin"}, step.Blocked},
		{[]string{api, "MINE_SERVICE_HOST=x"}, step.Blocked}, // the manifest asked for it
		{nil, step.Blocked},
	} {
		if out := judgeVariables(c.env, map[string]bool{"MINE_SERVICE_HOST": true}); out.Verdict != c.want {
			t.Errorf("%v: %+v", c.env, out)
		}
	}
}
