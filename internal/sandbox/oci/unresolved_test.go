package oci

import (
	"net/netip"
	"slices"
	"testing"

	"road/internal/sandbox/oci/network"
)

// A name is unknown where none of the forms has an address in which a resolver
// asks for it.
func TestUnknown(t *testing.T) {
	addr := []netip.Addr{netip.MustParseAddr("10.244.0.9")}
	var asked []network.Query
	for _, q := range []network.Query{
		{Name: "db.example.org.shop.svc.cluster.local.", Rcode: "NXDOMAIN"},
		{Name: "db.example.org.svc.cluster.local.", Rcode: "NXDOMAIN"},
		{Name: "db.example.org.", Rcode: "SERVFAIL"},
		{Name: "orders.shop.svc.cluster.local.", Type: "A", Rcode: "NOERROR", Addrs: addr},
		{Name: "orders.shop.svc.cluster.local.", Type: "AAAA", Rcode: "NOERROR"},
		{Name: "API.example.org.shop.svc.cluster.local.", Rcode: "NXDOMAIN"},
		{Name: "api.example.org.", Rcode: "NOERROR", Addrs: addr},
		{Name: "queue.infra.svc.cluster.local.", Rcode: "NXDOMAIN"},
	} {
		q.Name = asWritten(q.Name, "shop")
		asked = append(asked, q)
	}
	if got, want := unknown(asked), []string{"db.example.org", "queue.infra"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
