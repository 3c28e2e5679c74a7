package networkpolicy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// An exchange sends commands to a data store on a connection of their own and
// gives all that came back.
type exchange func(send []byte) ([]byte, error)

// keysTried is how many of a data store's keys are looked at for a number.
const keysTried = 20

// change logs in with one of the passwords, or without, and changes a number
// that it finds; where there is none, it writes one of its own and takes it out
// again. It gives what it did in one line.
func change(passwords []string, do exchange) (string, error) {
	var refused error
	for _, password := range append(passwords, "") {
		s := session{password, do}
		replies, err := s.do([]string{"SCAN", "0", "COUNT", strconv.Itoa(keysTried)})
		var no replyError
		if errors.As(err, &no) {
			refused = err
			continue
		}
		if err != nil {
			return "", err
		}
		return s.changeOne(keysOf(replies[0]))
	}
	return "", fmt.Errorf("no stolen password is taken: %w", refused)
}

// A session runs commands with a password, "" for none.
type session struct {
	password string
	exchange exchange
}

// changeOne changes the first number among keys.
func (s session) changeOne(keys []string) (string, error) {
	var gets [][]string
	for _, k := range keys[:min(len(keys), keysTried)] {
		gets = append(gets, []string{"GET", k})
	}
	if len(gets) > 0 {
		values, err := s.do(gets...)
		var no replyError
		if err != nil && !errors.As(err, &no) {
			return "", err
		}
		for i, v := range values {
			before, ok := v.(string)
			if _, err := strconv.ParseInt(before, 10, 64); !ok || err != nil {
				continue
			}
			after, err := s.do([]string{"INCRBY", keys[i], "1000"})
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%q was %s and is %v", keys[i], before, after[0]), nil
		}
	}
	const own = "road-was-here"
	replies, err := s.do([]string{"INCR", own}, []string{"DEL", own})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%q was nothing and was %v", own, replies[0]), nil
}

// do runs commands and gives their replies; the first that is an error is the
// error, beside all replies.
func (s session) do(commands ...[]string) ([]any, error) {
	var send bytes.Buffer
	skip := 0
	if s.password != "" {
		skip = 1
		encode(&send, []string{"AUTH", s.password})
	}
	for _, c := range commands {
		encode(&send, c)
	}
	encode(&send, []string{"QUIT"})
	got, err := s.exchange(send.Bytes())
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(bytes.NewReader(got))
	var replies []any
	var first error
	for range skip + len(commands) {
		r, err := decode(in, 0)
		if err != nil {
			return nil, fmt.Errorf("the data store's answer: %w", err)
		}
		if no, ok := r.(replyError); ok && first == nil {
			first = no
		}
		replies = append(replies, r)
	}
	return replies[skip:], first
}

// keysOf gives the keys in a reply to SCAN.
func keysOf(reply any) []string {
	var keys []string
	if parts, ok := reply.([]any); ok && len(parts) == 2 {
		list, _ := parts[1].([]any)
		for _, k := range list {
			if s, ok := k.(string); ok {
				keys = append(keys, s)
			}
		}
	}
	return keys
}

// A replyError is the data store's refusal of a command.
type replyError string

// Error gives it as it came.
func (e replyError) Error() string { return string(e) }

// encode writes a command in the Redis protocol.
func encode(b *bytes.Buffer, command []string) {
	fmt.Fprintf(b, "*%d\r\n", len(command))
	for _, c := range command {
		fmt.Fprintf(b, "$%d\r\n%s\r\n", len(c), c)
	}
}

// decode reads one reply of the Redis protocol: a string, an int64, a list, nil
// or a replyError.
func decode(in *bufio.Reader, depth int) (any, error) {
	text, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	text = strings.TrimRight(text, "\r\n")
	if text == "" || depth > 4 {
		return nil, errors.New("not the Redis protocol")
	}
	kind, rest := text[0], text[1:]
	n, numberErr := strconv.ParseInt(rest, 10, 64)
	if numberErr != nil && strings.ContainsRune(":$*", rune(kind)) || n > 1<<20 {
		return nil, fmt.Errorf("not the Redis protocol: %.40q", text)
	}
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return replyError(rest), nil
	case ':':
		return n, nil
	case '$':
		if n < 0 {
			return nil, nil
		}
		b := make([]byte, n+2)
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, err
		}
		return string(b[:n]), nil
	case '*':
		var list []any
		for range n {
			item, err := decode(in, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		return list, nil
	}
	return nil, fmt.Errorf("not the Redis protocol: %.40q", text)
}
