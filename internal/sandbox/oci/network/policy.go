package network

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// nameLabel is the label that every namespace has, with its own name.
const nameLabel = "kubernetes.io/metadata.name"

// Policies are the NetworkPolicies of one group of endpoints, and what they need
// to know of the namespaces that they speak of.
type Policies struct {
	List       []*networkingv1.NetworkPolicy
	Namespaces map[string]map[string]string // labels by name, beside kubernetes.io/metadata.name
}

// SetPolicies replaces the policies of a group, at once and for new connections.
// They hold for the group's endpoints, those that are attached later too, and
// their peers are endpoints of the same group and those of none. A policy that
// the API server would refuse is an error, and nothing changes then.
//
// What a policy denies is dropped. Connections that were made before it stay.
func (n *Network) SetPolicies(group string, p Policies) error {
	g := &policyGroup{namespaces: p.Namespaces}
	for _, np := range p.List {
		c, err := newPolicy(np)
		if err != nil {
			return fmt.Errorf("networkpolicy %s/%s: %w", np.Namespace, np.Name, err)
		}
		g.policies = append(g.policies, c)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return errors.New("the network is closed")
	}
	if old := n.groups[group]; old != nil {
		g.enforced = old.enforced
	}
	if err := n.enforce(group, g); err != nil {
		return err
	}
	n.groups[group] = g
	if len(g.policies) == 0 {
		delete(n.groups, group)
	}
	return nil
}

// A policyGroup is what SetPolicies set, and what it has become in the kernel.
type policyGroup struct {
	policies   []*policy
	namespaces map[string]map[string]string
	enforced   enforced
}

// A policy is a NetworkPolicy whose selectors were read.
type policy struct {
	namespace string
	pods      labels.Selector
	ingress   *direction // nil: it says nothing about this direction
	egress    *direction
}

// A direction holds the rules of one direction; none at all denies everything.
type direction struct{ rules []policyRule }

// A policyRule lets through what comes from one of its peers (no list: from
// anywhere) to one of its ports (no list: to any).
type policyRule struct {
	peers []peer
	ports []networkingv1.NetworkPolicyPort
}

// A peer is a block of addresses, or the pods that both selectors match.
type peer struct {
	block      netip.Prefix // zero for selectors
	except     []netip.Prefix
	namespaces labels.Selector // nil: the policy's own namespace
	pods       labels.Selector // nil: all
}

// newPolicy reads a NetworkPolicy as the API server completes it: without
// policyTypes it is about ingress, and about egress where it has such rules.
func newPolicy(np *networkingv1.NetworkPolicy) (*policy, error) {
	p := &policy{namespace: np.Namespace}
	var err error
	if p.pods, err = metav1.LabelSelectorAsSelector(&np.Spec.PodSelector); err != nil {
		return nil, fmt.Errorf("podSelector: %w", err)
	}
	types := np.Spec.PolicyTypes
	if len(types) == 0 {
		types = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(np.Spec.Egress) > 0 {
			types = append(types, networkingv1.PolicyTypeEgress)
		}
	}
	if slices.Contains(types, networkingv1.PolicyTypeIngress) {
		p.ingress = &direction{}
		for i, r := range np.Spec.Ingress {
			if err := p.ingress.add(r.From, r.Ports); err != nil {
				return nil, fmt.Errorf("ingress[%d]: %w", i, err)
			}
		}
	}
	if slices.Contains(types, networkingv1.PolicyTypeEgress) {
		p.egress = &direction{}
		for i, r := range np.Spec.Egress {
			if err := p.egress.add(r.To, r.Ports); err != nil {
				return nil, fmt.Errorf("egress[%d]: %w", i, err)
			}
		}
	}
	return p, nil
}

func (d *direction) add(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) error {
	r := policyRule{ports: ports}
	for _, p := range peers {
		c, err := newPeer(p)
		if err != nil {
			return err
		}
		r.peers = append(r.peers, c)
	}
	for _, p := range ports {
		if _, err := protocolNumber(p); err != nil {
			return err
		}
		if p.EndPort != nil && (p.Port == nil || p.Port.StrVal != "" || *p.EndPort < p.Port.IntVal) {
			return errors.New("endPort needs a port by number that is not above it")
		}
	}
	d.rules = append(d.rules, r)
	return nil
}

func newPeer(p networkingv1.NetworkPolicyPeer) (c peer, err error) {
	selectors := p.PodSelector != nil || p.NamespaceSelector != nil
	if (p.IPBlock != nil) == selectors {
		return c, errors.New("a peer is an ipBlock or has selectors, one of the two")
	}
	if p.IPBlock != nil {
		if c.block, err = netip.ParsePrefix(p.IPBlock.CIDR); err != nil {
			return c, fmt.Errorf("ipBlock: %w", err)
		}
		for _, e := range p.IPBlock.Except {
			x, err := netip.ParsePrefix(e)
			if err != nil {
				return c, fmt.Errorf("ipBlock: except: %w", err)
			}
			if !c.block.Overlaps(x) || x.Bits() <= c.block.Bits() {
				return c, fmt.Errorf("ipBlock: except: %s is not a part of %s", x, c.block)
			}
			c.except = append(c.except, x)
		}
		return c, nil
	}
	if p.NamespaceSelector != nil {
		if c.namespaces, err = metav1.LabelSelectorAsSelector(p.NamespaceSelector); err != nil {
			return c, fmt.Errorf("namespaceSelector: %w", err)
		}
	}
	if p.PodSelector != nil {
		if c.pods, err = metav1.LabelSelectorAsSelector(p.PodSelector); err != nil {
			return c, fmt.Errorf("podSelector: %w", err)
		}
	}
	return c, nil
}

// selects says whether the policy's podSelector matches a pod.
func (p *policy) selects(e *Endpoint) bool { return p.pods.Matches(labels.Set(e.Labels)) }

// namespaceLabels gives what a namespaceSelector sees.
func (g *policyGroup) namespaceLabels(name string) labels.Set {
	l := labels.Set(maps.Clone(g.namespaces[name]))
	if l == nil {
		l = labels.Set{}
	}
	l[nameLabel] = name
	return l
}

// matches says whether a peer of a policy in a namespace, which is no block of
// addresses, means a pod.
func (g *policyGroup) matches(c peer, namespace string, e *Endpoint) bool {
	switch {
	case c.namespaces == nil && e.Namespace != namespace:
		return false
	case c.namespaces != nil && !c.namespaces.Matches(g.namespaceLabels(e.Namespace)):
		return false
	}
	return c.pods == nil || c.pods.Matches(labels.Set(e.Labels))
}

// groupOf gives the group of the endpoint with an address, "" where it has none.
func (n *Network) groupOf(a netip.Addr) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for e := range n.ends {
		if e.IP == a {
			return e.Group
		}
	}
	return ""
}

// enter has an endpoint count, as one that policies select and as a peer.
func (n *Network) enter(e *Endpoint) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ends[e] = true
	return n.enforceFor(e)
}

// leave takes it out.
func (n *Network) leave(e *Endpoint) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ends[e] {
		return nil
	}
	delete(n.ends, e)
	return n.enforceFor(e)
}

// enforceFor brings the policies up to date that an endpoint may matter to.
func (n *Network) enforceFor(e *Endpoint) error {
	if e.outside {
		return nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(n.groups)) {
		if e.Group == "" || e.Group == name {
			errs = append(errs, n.enforce(name, n.groups[name]))
		}
	}
	return errors.Join(errs...)
}

// within gives the pods that a group's policies know: its own and those of none,
// in the order of their addresses.
func (n *Network) within(group string) []*Endpoint {
	var out []*Endpoint
	for e := range n.ends {
		if !e.outside && (e.Group == group || e.Group == "") {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *Endpoint) int { return a.IP.Compare(b.IP) })
	return out
}
