package standin

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Role is the role whose credentials the metadata service gives out.
const Role = "road"

// Credentials are what it gives out. They are good for nothing, and look like
// what they stand for.
var Credentials = map[string]string{
	"Code":            "Success",
	"Type":            "AWS-HMAC",
	"AccessKeyId":     "ASIAROADROADROADROAD",
	"SecretAccessKey": "nothing/behind/this/key/it+is+a+stand-in",
	"Token":           "a-stand-in-of-road",
}

// Metadata serves a cloud's metadata service on l: the paths of Amazon's, whose
// first version wants no token.
func Metadata(l net.Listener) *Server {
	s := &Server{}
	mux := http.NewServeMux()
	text := func(path, body string) {
		mux.HandleFunc("GET "+path+"{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
	}
	text("/", "latest")
	text("/latest/", "dynamic\nmeta-data\nuser-data")
	text("/latest/meta-data/", "hostname\niam/\ninstance-id")
	text("/latest/meta-data/iam/", "security-credentials/")
	text("/latest/meta-data/iam/security-credentials/", Role)
	mux.HandleFunc("GET /latest/meta-data/iam/security-credentials/"+Role, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain") // as the real one
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.Encode(Credentials)
	})
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a-session-of-road") })
	h := &http.Server{Handler: s.logged(mux), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	s.close = h.Close
	go h.Serve(l)
	return s
}

// logged writes a line for every request.
func (s *Server) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{w, http.StatusOK}
		next.ServeHTTP(rec, r)
		s.add(r.RemoteAddr, fmt.Sprintf("%s %s %d", r.Method, strings.ToValidUTF8(r.URL.EscapedPath(), ""), rec.status))
	})
}

// A recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}
