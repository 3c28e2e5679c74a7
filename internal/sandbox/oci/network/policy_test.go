package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// patienceFor is how long a call of a policy test may take: an allowed one takes
// less than a millisecond, but on a machine that has other things to do; a dropped
// one lasts until its end.
func patienceFor(allowed bool) time.Time {
	if allowed {
		return time.Now().Add(10 * time.Second)
	}
	return time.Now().Add(150 * time.Millisecond)
}

// A policyCase says what policies, one document each, come to. Calls are
// "caller called:port" with "udp/" before the port where it is no TCP. The API's
// own documentation (networking/v1) is the judge.
type policyCase struct {
	name     string
	policies string
	allowed  string // calls that get an answer
	denied   string // calls that get none
}

// The pods of the table. All listen on 80, 81, 8080 and 9090, TCP and UDP.
//
//	shop (tier: prod)    web {app: web, tier: front}   http is 80
//	                     api {app: api, tier: back}    http is 8080, metrics 9090
//	                     db  {app: db, tier: back}     udp/http is 81
//	ops  (team: ops)     prom {app: prom}, twin {app: web}
//	kube-system          dns, the real one
//	none                 out, a machine outside; node, the node itself
var policyPods = []AttachOptions{
	{Name: "web", Namespace: "shop", Labels: map[string]string{"app": "web", "tier": "front"}, Ports: []NamedPort{{"http", "TCP", 80}}},
	{Name: "api", Namespace: "shop", Labels: map[string]string{"app": "api", "tier": "back"}, Ports: []NamedPort{{"http", "", 8080}, {"metrics", "TCP", 9090}}},
	{Name: "db", Namespace: "shop", Labels: map[string]string{"app": "db", "tier": "back"}, Ports: []NamedPort{{"http", "UDP", 81}}},
	{Name: "prom", Namespace: "ops", Labels: map[string]string{"app": "prom"}},
	{Name: "twin", Namespace: "ops", Labels: map[string]string{"app": "web"}},
}

const deny = "{spec: {podSelector: {}, policyTypes: [Ingress, Egress]}}"

var policyCases = []policyCase{
	{"no policy", "", "web api:80, prom db:udp/80, web out:80, node db:80, web dns:udp/53", ""},

	// What isolates whom.
	{"default deny of both", deny, "prom twin:80, node web:80, web web:80", "web api:80, api web:80, prom web:80, web prom:80, web out:80, web api:udp/80, web dns:udp/53"},
	{"policyTypes defaults to ingress", "{spec: {podSelector: {}}}", "web prom:80, web dns:udp/53, web out:80", "prom web:80, api web:80"},
	{"policyTypes defaults to egress too where there are rules", "{spec: {podSelector: {}, egress: [{to: [{podSelector: {matchLabels: {app: api}}}]}]}}", "", "web prom:80, web api:80, prom web:80"},
	{"an empty list of egress rules defaults to ingress alone", "{spec: {podSelector: {}, egress: []}}", "web prom:80", "prom web:80"},
	{"egress alone leaves ingress open", "{spec: {podSelector: {}, policyTypes: [Egress]}}", "prom web:80", "web prom:80, web api:80"},
	{"ingress rules without their type say nothing", "{spec: {podSelector: {}, policyTypes: [Egress], ingress: []}}", "prom web:80", "web prom:80"},
	{"egress rules without their type say nothing", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], egress: [{ports: [{port: 80}]}]}}", "web prom:81", "prom web:80"},
	{"only selected pods are isolated", "{spec: {podSelector: {matchLabels: {app: db}}}}", "prom web:80, db web:80", "web db:80"},
	{"a selector is of its own namespace", "{spec: {podSelector: {matchLabels: {app: web}}}}", "prom twin:80, web twin:80", "prom web:80"},
	{"matchLabels are all needed", "{spec: {podSelector: {matchLabels: {app: web, tier: back}}}}", "prom web:80, prom db:80", ""},
	{"matchExpressions In", "{spec: {podSelector: {matchExpressions: [{key: app, operator: In, values: [web, db]}]}}}", "prom api:80", "prom web:80, prom db:80"},
	{"matchExpressions NotIn", "{spec: {podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web, db]}]}}}", "prom web:80, prom db:80", "prom api:80"},
	{"matchExpressions Exists and DoesNotExist", "{spec: {podSelector: {matchExpressions: [{key: tier, operator: Exists}, {key: old, operator: DoesNotExist}]}}}", "", "prom web:80, prom api:80"},
	{"labels and expressions are both needed", "{spec: {podSelector: {matchLabels: {tier: back}, matchExpressions: [{key: app, operator: NotIn, values: [db]}]}}}", "prom db:80", "prom api:80"},

	// Peers.
	{"a rule without peers and ports lets everything in", deny + "\n---\n{spec: {podSelector: {}, ingress: [{}]}}", "prom web:80", "web out:80, web prom:80"},
	{"from a pod of the same namespace", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}}", "web api:80, web api:udp/81", "db api:80, prom api:80, twin api:80"},
	{"from all pods of the same namespace", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {}}]}]}}", "web api:80, db api:80", "prom api:80, twin api:80"},
	{"from a namespace by its name", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ops}}}]}]}}", "prom api:80, twin api:80", "web api:80"},
	{"from a namespace by its labels", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}}]}]}}", "prom api:80, twin api:80", "web api:80"},
	{"from all namespaces", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{namespaceSelector: {}}]}]}}", "prom api:80, web api:80, node api:80", ""},
	{"from namespaces by expression", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}]}]}}", "web api:80", "prom api:80"},
	{"namespace and pod in one peer: both", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}, podSelector: {matchLabels: {app: web}}}]}]}}", "twin api:80", "prom api:80, web api:80"},
	{"namespace and pod in two peers: either", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}}, {podSelector: {matchLabels: {app: web}}}]}]}}", "twin api:80, prom api:80, web api:80", "db api:80"},
	{"a namespace of no pod", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: none}}}]}]}}", "", "prom api:80, web api:80"},
	{"rules add up", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}, {from: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 81}]}]}}", "web api:80, db api:81", "db api:80, prom api:80"},
	{"policies add up", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}}\n---\n{spec: {podSelector: {matchLabels: {tier: back}}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}}]}]}}", "web api:80, db api:80", "web db:80, prom api:80"},
	{"a denying policy takes nothing back", deny + "\n---\n{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}}]}]}}", "prom api:80", "web api:80, prom web:80"},

	// Ports.
	{"one port", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 80}]}]}}", "web api:80, prom api:80", "web api:81, web api:udp/80"},
	{"a port is TCP unless it says otherwise", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 80, protocol: UDP}]}]}}", "web api:udp/80", "web api:80"},
	{"a protocol without a port", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{protocol: UDP}]}]}}", "web api:udp/80, web api:udp/9090", "web api:80"},
	{"several ports", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 80}, {port: 9090}]}]}}", "web api:80, web api:9090", "web api:81"},
	{"endPort", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 81, endPort: 9000}]}]}}", "web api:81, web api:8080", "web api:80, web api:9090"},
	{"endPort equal to port", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 81, endPort: 81}]}]}}", "web api:81", "web api:80, web api:8080"},
	{"a named port is that of the called pod", "{spec: {podSelector: {}, ingress: [{ports: [{port: http}]}]}}", "prom web:80, prom api:8080", "prom web:8080, prom api:80, prom db:80, prom db:81"},
	{"a named port has a protocol", "{spec: {podSelector: {}, ingress: [{ports: [{port: http, protocol: UDP}]}]}}", "prom db:udp/81", "prom web:80, prom db:81, prom web:udp/80"},
	{"a name that no port has", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: nothing}]}]}}", "", "web api:80, web api:8080, web api:9090"},
	{"peers and ports are both needed", "{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: metrics}]}]}}", "web api:9090", "web api:80, db api:9090"},

	// Blocks of addresses.
	{"ipBlock", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.0/24}}]}]}}", "web out:80", "web api:80, web dns:udp/53"},
	{"ipBlock with except", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [198.51.100.0/24]}}]}]}}", "web api:80", "web out:80"},
	{"ipBlock with two excepts", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [198.51.100.0/24, 10.0.0.0/8]}}]}]}}", "", "web out:80, web api:80"},
	{"what one block excepts another peer may give", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}, {podSelector: {matchLabels: {app: api}}}]}]}}", "web out:80, web api:80", "web db:80"},
	{"ipBlock with a port", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.0/24}}], ports: [{port: 81}]}]}}", "web out:81", "web out:80"},
	{"ipBlock of IPv6", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: '::/0'}}]}]}}", "", "web out:80, web api:80"},

	// Egress.
	{"egress to a pod", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: api}}}]}]}}", "web api:80, prom web:80", "web db:80, web prom:80, web out:80"},
	{"egress to a port anywhere", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}}", "web api:80, web prom:80, web out:80", "web api:81"},
	{"egress to another namespace", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {team: ops}}, podSelector: {matchLabels: {app: prom}}}]}]}}", "web prom:80", "web twin:80, web api:80"},
	{"egress to a named port is that of each called pod", "{spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}], ports: [{port: http}]}]}}", "db web:80, db api:8080", "db web:8080, db api:80"},
	{"egress to a named port anywhere", "{spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{ports: [{port: metrics}]}]}}", "db api:9090", "db web:9090, db out:9090"},
	{"both sides must let through", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {tier: back}}}]}]}}\n---\n{spec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}]}}", "web api:80, web db:80", "web api:81, db api:80"},
	{"DNS over UDP and TCP", "{spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}]}}", "web dns:udp/53, web dns:53", "web api:80"},
	{"DNS over UDP alone", "{spec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]}}", "web dns:udp/53", "web dns:53"},
	{"answers need no rule", "{spec: {podSelector: {matchLabels: {app: api}}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}}", "web api:80, web api:udp/80", "api web:80, db api:80"},

	// The Service's address has become a pod's: its port is the pod's.
	{"a Service's pods", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 8080}]}]}}", "web service:7000", "web api:7000, web db:8080"},
	{"a Service's address is nobody", "{spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.96.0.0/16}}]}]}}", "", "web service:7000"},
	{"a pod cannot shut itself out", deny, "web web:80, api service:7000", "db service:7000"},
	{"the node always comes through", deny, "node web:80, node api:udp/80", "prom web:80"},
	{"another group's policies are not ours", "", "web api:80", ""},
}

// policyWorld is what the cases play in.
type policyWorld struct {
	net     *Network
	ends    map[string]*Endpoint
	service netip.Addr
}

func newPolicyWorld(t *testing.T) *policyWorld {
	n := newNetwork(t)
	w := &policyWorld{net: n, ends: map[string]*Endpoint{}}
	for _, o := range policyPods {
		o.Group = "case"
		e, err := n.Attach(o)
		if err != nil {
			t.Fatal(err)
		}
		w.ends[o.Name] = e
	}
	out, err := n.AttachOutside("out")
	if err != nil {
		t.Fatal(err)
	}
	w.ends["out"] = out
	for _, e := range w.ends {
		for _, port := range []int{80, 81, 8080, 9090} {
			greet(t, e, port)
		}
	}
	w.service, err = n.SetService("shop", "service", ServiceOptions{Ports: []ServicePort{{Port: 7000, Target: 8080}},
		Backends: []Backend{{Addr: w.ends["api"].IP}}})
	if err != nil {
		t.Fatal(err)
	}
	// A stranger's policies, in a group of their own, deny everything.
	if err := n.SetPolicies("stranger", Policies{List: policyList(t, deny)}); err != nil {
		t.Fatal(err)
	}
	return w
}

// policyList reads policies of namespace shop.
func policyList(t *testing.T, text string) []*networkingv1.NetworkPolicy {
	t.Helper()
	var list []*networkingv1.NetworkPolicy
	for _, doc := range strings.Split(text, "\n---\n") {
		if doc == "" {
			continue
		}
		p := &networkingv1.NetworkPolicy{}
		if err := yaml.UnmarshalStrict([]byte(doc), p); err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
		p.Namespace = "shop"
		list = append(list, p)
	}
	return list
}

// call makes one call and says whether it was answered.
func (w *policyWorld) call(call string, want bool) (bool, error) {
	caller, called, _ := strings.Cut(call, " ")
	host, port, ok := strings.Cut(called, ":")
	if !ok {
		return false, fmt.Errorf("%q is no call", call)
	}
	network, port, udp := "tcp", port, false
	if p, found := strings.CutPrefix(port, "udp/"); found {
		network, port, udp = "udp", p, true
	}
	addr := ""
	switch e := w.ends[host]; {
	case host == "dns":
		return w.ask(caller, network, want)
	case host == "service":
		addr = w.service.String()
	case e != nil:
		addr = e.Addr()
	default:
		return false, fmt.Errorf("there is no %q", host)
	}
	ctx, cancel := context.WithDeadline(context.Background(), patienceFor(want))
	defer cancel()
	dial := (&net.Dialer{}).DialContext // of the node
	if caller != "node" {
		if w.ends[caller] == nil {
			return false, fmt.Errorf("there is no %q", caller)
		}
		dial = w.ends[caller].DialContext
	}
	c, err := dial(ctx, network, net.JoinHostPort(addr, port))
	if err != nil {
		return false, nil
	}
	defer c.Close()
	c.SetDeadline(patienceFor(want))
	if udp {
		c.Write([]byte("hello"))
	}
	n, err := c.Read(make([]byte, 100))
	return err == nil && n > 0, nil
}

// ask asks cluster DNS.
func (w *policyWorld) ask(caller, network string, want bool) (bool, error) {
	ctx, cancel := context.WithDeadline(context.Background(), patienceFor(want))
	defer cancel()
	c, err := w.ends[caller].DialContext(ctx, network, netip.AddrPortFrom(dnsServer, 53).String())
	if err != nil {
		return false, nil
	}
	defer c.Close()
	c.SetDeadline(patienceFor(want))
	q := []byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07service\x04shop\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01")
	if network == "tcp" {
		q = append([]byte{0, byte(len(q))}, q...)
	}
	c.Write(q)
	n, err := c.Read(make([]byte, 512))
	return err == nil && n > 0, nil
}

func calls(list string) []string {
	return strings.FieldsFunc(strings.ReplaceAll(list, ", ", ","), func(r rune) bool { return r == ',' })
}

func TestSandboxPolicies(t *testing.T) {
	w := newPolicyWorld(t)
	if len(policyCases) < 40 {
		t.Errorf("%d cases", len(policyCases))
	}
	for _, c := range policyCases {
		t.Run(c.name, func(t *testing.T) {
			p := Policies{List: policyList(t, c.policies), Namespaces: map[string]map[string]string{"ops": {"team": "ops"}}}
			if err := w.net.SetPolicies("case", p); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for _, want := range []bool{true, false} {
				list := calls(c.denied)
				if want {
					list = calls(c.allowed)
				}
				for _, call := range list {
					wg.Go(func() {
						got, err := w.call(call, want)
						if err != nil {
							t.Error(err)
						} else if got != want {
							t.Errorf("%s: answered is %v", call, got)
						}
					})
				}
			}
			wg.Wait()
		})
	}
}

// Policies follow the pods: one that comes is isolated and a peer at once, one
// that goes leaves nothing behind.
func TestSandboxPoliciesFollowPods(t *testing.T) {
	w := newPolicyWorld(t)
	p := Policies{List: policyList(t, "{spec: {podSelector: {matchLabels: {app: late}}, ingress: [{from: [{podSelector: {matchLabels: {app: guest}}}]}]}}")}
	if err := w.net.SetPolicies("case", p); err != nil {
		t.Fatal(err)
	}
	for _, app := range []string{"late", "guest"} {
		e, err := w.net.Attach(AttachOptions{Name: app, Namespace: "shop", Labels: map[string]string{"app": app}, Group: "case"})
		if err != nil {
			t.Fatal(err)
		}
		w.ends[app] = e
	}
	greet(t, w.ends["late"], 80)
	for call, want := range map[string]bool{"guest late:80": true, "web late:80": false} {
		if got, err := w.call(call, want); got != want || err != nil {
			t.Errorf("%s: answered is %v, %v", call, got, err)
		}
	}
	if err := w.ends["guest"].Close(); err != nil {
		t.Error(err)
	}
	if err := w.ends["late"].Close(); err != nil {
		t.Error(err)
	}
	if g := w.net.groups["case"]; len(g.enforced) != 0 {
		t.Errorf("%d chains are left", len(g.enforced))
	}
	if err := w.net.SetPolicies("case", Policies{}); err != nil {
		t.Error(err)
	}
	if w.net.groups["case"] != nil {
		t.Error("the group is left")
	}
}

// A connection that was let through lives on; only new ones meet a new policy.
func TestSandboxPolicyKeepsConnections(t *testing.T) {
	w := newPolicyWorld(t)
	l, err := w.ends["api"].Listen(t.Context(), "tcp4", ":7")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			accepted <- c
		}
	}()
	c, err := w.ends["web"].DialContext(soon(t), "tcp4", w.ends["api"].Addr()+":7")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far := <-accepted
	defer far.Close()
	if err := w.net.SetPolicies("case", Policies{List: policyList(t, deny)}); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.call("web api:80", false); got {
		t.Error("a new connection is made")
	}
	c.Write([]byte("x"))
	far.SetDeadline(patienceFor(true))
	if _, err := far.Read(make([]byte, 1)); err != nil {
		t.Errorf("the old connection: %v", err)
	}
}

// What the API server refuses is refused, and the old policies stay.
func TestSandboxPolicyRefused(t *testing.T) {
	w := newPolicyWorld(t)
	if err := w.net.SetPolicies("case", Policies{List: policyList(t, deny)}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"{spec: {podSelector: {matchExpressions: [{key: app, operator: Near}]}}}",
		"{spec: {podSelector: {}, ingress: [{from: [{}]}]}}",
		"{spec: {podSelector: {}, ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}}",
		"{spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.1}}]}]}}",
		"{spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [192.168.0.0/16]}}]}]}}",
		"{spec: {podSelector: {}, ingress: [{ports: [{port: http, endPort: 90}]}]}}",
		"{spec: {podSelector: {}, ingress: [{ports: [{port: 90, endPort: 80}]}]}}",
		"{spec: {podSelector: {}, ingress: [{ports: [{port: 90, protocol: ICMP}]}]}}",
	} {
		if err := w.net.SetPolicies("case", Policies{List: policyList(t, bad)}); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if got, _ := w.call("prom web:80", false); got {
		t.Error("the old policy is gone")
	}
}

// Who calls whom is noted, denied or not; the node's own calls are not.
func TestSandboxFlows(t *testing.T) {
	w := newPolicyWorld(t)
	if err := w.net.SetPolicies("case", Policies{List: policyList(t, "{spec: {podSelector: {matchLabels: {app: db}}}}")}); err != nil {
		t.Fatal(err)
	}
	for _, call := range []string{"web api:80", "web api:80", "web api:udp/81", "web service:7000", "web db:80", "node db:80", "prom out:80"} {
		if _, err := w.call(call, false); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.net.Flows()
	if err != nil {
		t.Fatal(err)
	}
	ip := func(name string) netip.Addr { return w.ends[name].IP }
	want := []Flow{{ip("web"), ip("api"), "TCP", 80}, {ip("web"), ip("api"), "UDP", 81}, {ip("web"), ip("api"), "TCP", 8080},
		{ip("web"), ip("db"), "TCP", 80}, {ip("prom"), ip("out"), "TCP", 80}}
	for _, f := range want {
		if !slices.Contains(got, f) {
			t.Errorf("%v was not noted", f)
		}
	}
	if len(got) != len(want) {
		t.Errorf("noted %v", got)
	}
}

// What a policy denies stays denied while pods come and go: not one packet passes
// while the rules are changed.
func TestSandboxPolicyHoldsMeanwhile(t *testing.T) {
	w := newPolicyWorld(t)
	p := Policies{List: policyList(t, "{spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: guest}}}]}]}}")}
	if err := w.net.SetPolicies("case", p); err != nil {
		t.Fatal(err)
	}
	in, err := w.ends["db"].ListenPacket(t.Context(), "udp4", ":7")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	passed := make(chan string, 1000)
	go func() {
		b := make([]byte, 100)
		for {
			n, _, err := in.ReadFrom(b)
			if err != nil {
				return
			}
			passed <- string(b[:n])
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	defer sending.Wait()
	defer cancel()
	sent := 0
	sending.Go(func() {
		out, err := w.ends["web"].ListenPacket(ctx, "udp4", ":9")
		if err != nil {
			t.Error(err)
			return
		}
		defer out.Close()
		to := &net.UDPAddr{IP: w.ends["db"].IP.AsSlice(), Port: 7}
		for ; ctx.Err() == nil; sent++ {
			out.WriteTo([]byte("denied"), to) // refused or not: what counts is what arrives
		}
	})
	for range 60 {
		e, err := w.net.Attach(AttachOptions{Name: "guest", Namespace: "shop", Labels: map[string]string{"app": "guest"}, Group: "case"})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	sending.Wait()
	if len(passed) > 0 || sent == 0 {
		t.Errorf("%d of %d packets passed", len(passed), sent)
	}
}
