package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
)

// proofPatience is how long ProvePolicies waits for a call that must not come
// through. The same call takes less than a millisecond before.
const proofPatience = 100 * time.Millisecond

// ProvePolicies has one pod call another, denies it, and has it call again. The
// error says that a denied call is not denied here, or that nothing came through
// in the first place.
func (n *Network) ProvePolicies(ctx context.Context) (err error) {
	const group = "proof"
	var ends [2]*Endpoint
	for i := range ends {
		if ends[i], err = n.Attach(AttachOptions{Name: group, Namespace: group, Group: group}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ends[i].Close()) }()
	}
	l, err := ends[1].Listen(ctx, "tcp4", ":80")
	if err != nil {
		return err
	}
	defer l.Close()
	call := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		c, err := ends[0].DialContext(ctx, "tcp4", net.JoinHostPort(ends[1].Addr(), "80"))
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := call(dnsPatience); err != nil {
		return fmt.Errorf("a pod does not reach another: %w", err)
	}
	deny := &networkingv1.NetworkPolicy{}
	deny.Namespace = group
	if err := n.SetPolicies(group, Policies{List: []*networkingv1.NetworkPolicy{deny}}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.SetPolicies(group, Policies{})) }()
	if call(proofPatience) == nil {
		return errors.New("a denied connection was made")
	}
	return nil
}
