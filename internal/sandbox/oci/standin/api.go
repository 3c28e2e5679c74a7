package standin

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"
)

// anonymous is who the API server takes a client without credentials for.
const anonymous = "system:anonymous"

// API serves the cluster's API server on l, over TLS. It knows who a bearer
// token belongs to and refuses whatever that account asks for, with the words
// of the real one: that the token is good shows in the account's name. Its
// version it tells everybody.
func API(l net.Listener, cert tls.Certificate, who func(token string) (user string, err error)) *Server {
	s := &Server{}
	handle := func(w http.ResponseWriter, r *http.Request) {
		user := anonymous
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			var err error
			if user, err = who(strings.TrimSpace(token)); err != nil {
				s.refuse(w, r, "", http.StatusUnauthorized, "Unauthorized", "Unauthorized")
				return
			}
		}
		if r.URL.Path == "/version" {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintln(w, `{"major":"1","minor":"37","gitVersion":"v1.37.0","platform":"linux/amd64"}`)
			s.add(r.RemoteAddr, fmt.Sprintf("%s %s by %s: 200", r.Method, r.URL.EscapedPath(), user))
			return
		}
		s.refuse(w, r, user, http.StatusForbidden, "Forbidden", forbidden(r, user))
	}
	h := &http.Server{
		Handler:     http.HandlerFunc(handle),
		TLSConfig:   &tls.Config{Certificates: []tls.Certificate{cert}},
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0), // what fails before a request shows as a connection
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateNew {
				s.add(remote(c), "connected")
			}
		},
	}
	s.close = h.Close
	go h.ServeTLS(l, "", "")
	return s
}

// refuse answers with a Status, as the API server does.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, user string, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{
		"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure",
		"message": message, "reason": reason, "code": code,
	})
	if user == "" {
		user = "nobody"
	}
	s.add(r.RemoteAddr, fmt.Sprintf("%s %s by %s: %d", r.Method, r.URL.EscapedPath(), user, code))
}

// forbidden words a refusal.
func forbidden(r *http.Request, user string) string {
	verb := map[string]string{"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[r.Method]
	if verb == "" {
		verb = strings.ToLower(r.Method)
	}
	group, namespace, resource, named, ok := parsePath(r.URL.Path)
	if !ok {
		return fmt.Sprintf("forbidden: User %q cannot %s path %q", user, verb, r.URL.Path)
	}
	if verb == "get" && !named {
		verb = "list"
	}
	message := fmt.Sprintf("%s is forbidden: User %q cannot %s resource %q in API group %q", resource, user, verb, resource, group)
	if namespace == "" {
		return message + " at the cluster scope"
	}
	return message + fmt.Sprintf(" in the namespace %q", namespace)
}

// parsePath takes /api/v1/namespaces/NS/RESOURCE/NAME apart, and the like.
func parsePath(path string) (group, namespace, resource string, named, ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		group, parts = parts[1], parts[3:]
	default:
		return "", "", "", false, false
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		namespace, parts = parts[1], parts[2:]
	}
	return group, namespace, parts[0], len(parts) > 1, true
}
