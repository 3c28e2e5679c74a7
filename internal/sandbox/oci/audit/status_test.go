package audit

import (
	"encoding/binary"
	"strings"
	"testing"
)

// statusBytes gives the kernel's struct audit_status.
func statusBytes(failure, daemon, wait uint32) []byte {
	b := make([]byte, 44)
	for offset, v := range map[int]uint32{4: 1, 8: failure, 12: daemon, 20: 64, 32: 0x7f, 36: wait} {
		binary.NativeEndian.PutUint32(b[offset:], v)
	}
	return b
}

// TestFault refuses to record where that harms the host or may lose records.
func TestFault(t *testing.T) {
	for _, c := range []struct {
		name                  string
		failure, daemon, wait uint32
		want                  []string // none: it may be recorded
	}{
		{"the defaults", 1, 0, 60000, nil},
		{"silent", 0, 0, 60000, nil},
		{"a daemon", 1, 612, 60000, []string{"daemon", "612", "systemctl stop auditd"}},
		{"panic", 2, 0, 60000, []string{"panics", "auditctl -f 1"}},
		{"no wait", 1, 0, 0, []string{"dropped", "--backlog_wait_time"}},
	} {
		s, ok := parseStatus(statusBytes(c.failure, c.daemon, c.wait))
		got := s.fault()
		if !ok || (got == "") != (c.want == nil) {
			t.Errorf("%s: %q, %v", c.name, got, ok)
		}
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q lacks %q", c.name, got, w)
			}
		}
	}
	if _, ok := parseStatus(make([]byte, 32)); ok {
		t.Error("an answer of an older kernel passes")
	}
}
