package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"road/internal/probe"
)

// The record types that can be asked for.
var recordTypes = map[string]uint16{"A": 1, "AAAA": 28, "TXT": 16, "": 1}

// queryID needs no secrecy: the probe takes the first answer on its own socket.
const queryID = 0x7207

func resolve(_ context.Context, _ *agent, args probe.ResolveArgs) (any, error) {
	kind, ok := recordTypes[args.Type]
	if !ok {
		return nil, fmt.Errorf("no such record type: %q", args.Type)
	}
	conf, err := readResolvConf("/etc/resolv.conf")
	if err != nil {
		return nil, err
	}
	if args.Server == "" {
		args.Server = conf.server
	}
	var result probe.ResolveResult
	for _, name := range conf.names(args.Name) {
		result = probe.ResolveResult{Name: name}
		query, err := question(name, kind)
		if err != nil {
			return nil, err
		}
		answer, err := exchange(args.Server, query, args.Timeout)
		if err != nil {
			return nil, err
		}
		if result.RCode, result.Answers, err = parseAnswer(answer, kind); err != nil {
			return nil, err
		}
		if len(result.Answers) > 0 {
			break
		}
	}
	return result, nil
}

// exchange sends one question and waits for its answer.
func exchange(server string, query []byte, timeout int) ([]byte, error) {
	c, to, err := open("udp", server, timeout)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.connect(to); err != nil {
		return nil, err
	}
	if err := c.write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	n, err := c.read(buf)
	return buf[:n], err
}

// resolvConf is what a name server's client must know.
type resolvConf struct {
	server string // of the first name server, with its port
	search []string
	ndots  int
}

func readResolvConf(path string) (resolvConf, error) {
	conf := resolvConf{server: "127.0.0.1:53", ndots: 1}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return conf, nil
	}
	if err != nil {
		return conf, err
	}
	defer f.Close()
	found := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			if ip, err := netip.ParseAddr(fields[1]); err == nil && !found {
				conf.server, found = netip.AddrPortFrom(ip, 53).String(), true
			}
		case "search":
			conf.search = fields[1:]
		case "options":
			for _, option := range fields[1:] {
				if n, ok := strings.CutPrefix(option, "ndots:"); ok {
					conf.ndots, _ = strconv.Atoi(n) // a number that is none counts as 0
				}
			}
		}
	}
	return conf, lines.Err()
}

// names gives the complete names to ask for, in order.
func (c resolvConf) names(name string) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	var names []string
	for _, domain := range c.search {
		names = append(names, name+"."+strings.TrimSuffix(domain, ".")+".")
	}
	if strings.Count(name, ".") >= c.ndots {
		return append([]string{name + "."}, names...)
	}
	return append(names, name+".")
}

// question builds a DNS query that asks for recursion.
func question(name string, kind uint16) ([]byte, error) {
	q := binary.BigEndian.AppendUint16(nil, queryID)
	q = append(q, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0) // recursion desired, one question
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if len(label) == 0 || len(label) > 63 {
			return nil, fmt.Errorf("not a host name: %q", name)
		}
		q = append(append(q, byte(len(label))), label...)
	}
	q = binary.BigEndian.AppendUint16(append(q, 0), kind)
	return binary.BigEndian.AppendUint16(q, 1), nil
}

var errAnswer = errors.New("not a DNS answer")

// parseAnswer gives the records of one kind.
func parseAnswer(b []byte, kind uint16) (rcode int, answers []string, err error) {
	if len(b) < 12 || binary.BigEndian.Uint16(b) != queryID {
		return 0, nil, errAnswer
	}
	rcode = int(b[3] & 15)
	questions, records := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	rest := b[12:]
	for range questions {
		if rest, err = skipName(rest); err != nil || len(rest) < 4 {
			return 0, nil, errAnswer
		}
		rest = rest[4:]
	}
	for range records {
		if rest, err = skipName(rest); err != nil || len(rest) < 10 {
			return 0, nil, errAnswer
		}
		is, length := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[8:]))
		if rest = rest[10:]; len(rest) < length {
			return 0, nil, errAnswer
		}
		if is == kind {
			answers = append(answers, record(kind, rest[:length]))
		}
		rest = rest[length:]
	}
	return rcode, answers, nil
}

// record words the content of one record.
func record(kind uint16, data []byte) string {
	if ip, ok := netip.AddrFromSlice(data); ok && kind != recordTypes["TXT"] {
		return ip.String()
	}
	var text strings.Builder
	for len(data) > 0 && len(data) > int(data[0]) {
		text.Write(data[1 : 1+data[0]])
		data = data[1+data[0]:]
	}
	return text.String()
}

// skipName gives what stands behind a name.
func skipName(b []byte) ([]byte, error) {
	for len(b) > 0 {
		n := int(b[0])
		switch {
		case n == 0:
			return b[1:], nil
		case n >= 0xc0 && len(b) >= 2: // the rest stands elsewhere
			return b[2:], nil
		case n > 63 || len(b) <= n:
			return nil, errAnswer
		}
		b = b[1+n:]
	}
	return nil, errAnswer
}
