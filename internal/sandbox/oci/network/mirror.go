package network

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"sync"

	"road/internal/sandbox/oci/world"
)

// onlyMirrors serves a pod's connection to a proxy of the host's: requests for a
// package mirror are handed on to the proxy, all others are refused, for it would
// carry them to wherever it can connect. So a pod whose image has been told of the
// proxy gets packages as it would in a cluster there, by HTTP.
func (n *Network) onlyMirrors(c net.Conn, proxy netip.AddrPort) {
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return world.DialNS(ctx, n.world.HostNet, network, addr)
	}
	transport := &http.Transport{DialContext: dial, DisableCompression: true,
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: proxy.String()})}
	defer transport.CloseIdleConnections()
	silent := log.New(io.Discard, "", 0) // what pods do wrong is theirs to see
	onward := &httputil.ReverseProxy{Transport: transport, ErrorLog: silent, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.Host = r.In.Host
		r.Out.Header["Proxy-Authorization"] = r.In.Header["Proxy-Authorization"]
	}}
	gone := make(chan struct{})
	over := sync.OnceFunc(func() { close(gone) })
	server := &http.Server{ErrorLog: silent, ReadHeaderTimeout: dialPatience,
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed || s == http.StateHijacked {
				over()
			}
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet && r.Method != http.MethodHead || !n.egress.names(r.URL) {
				http.Error(w, "road: refused: pods reach package mirrors through this proxy, and nothing else", http.StatusForbidden)
				return
			}
			onward.ServeHTTP(w, r)
		})}
	one := handover{make(chan net.Conn, 1), gone, c.LocalAddr()}
	one.c <- c
	_ = server.Serve(one) // it ends with the connection
}
