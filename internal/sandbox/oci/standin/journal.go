// Package standin holds what stands around an application in the place of the
// real thing: a cloud's metadata service, the cluster's API server and the
// attacker's name server. Each answers as the real one would, serves nobody but
// pods, and keeps a journal of what it was asked, which is what attacks are
// judged by.
package standin

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// An Entry is one thing that a stand-in was asked.
type Entry struct {
	Time time.Time
	From netip.Addr
	Line string // "GET /latest/meta-data/ 200"
}

// kept is how many entries a journal remembers.
const kept = 4096

// A Journal is what a stand-in was asked. The zero value is empty.
type Journal struct {
	mu      sync.Mutex
	entries []Entry
}

// Entries gives the last entries, oldest first.
func (j *Journal) Entries() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Entry(nil), j.entries...)
}

func (j *Journal) add(from, line string) {
	ap, _ := netip.ParseAddrPort(from)
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.entries) == kept {
		j.entries = append(j.entries[:0], j.entries[kept/2:]...)
	}
	j.entries = append(j.entries, Entry{time.Now(), ap.Addr().Unmap(), line})
}

// A Server is a stand-in that serves.
type Server struct {
	Journal
	close func() error
}

// Close ends it.
func (s *Server) Close() error { return s.close() }

// remote gives where a connection comes from.
func remote(c net.Conn) string { return c.RemoteAddr().String() }
