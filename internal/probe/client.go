package probe

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrEnded says that the stream to the probe ended: it was killed, or could not
// start. What was asked of it then is unproven.
var ErrEnded = errors.New("the probe ended")

// firstWord is how long a probe may take to start: an exec into a container that
// is held back to a twentieth of a processor takes half a second.
var firstWord = 30 * time.Second

// lineLimit is how long a line may be, in bytes. The stream comes from inside a
// container, where others can write to it too.
const lineLimit = 64 << 20

// A Client asks one running probe. Many requests may be under way at once.
type Client struct {
	stream io.ReadWriteCloser
	hello  Hello
	lines  chan []byte   // to the writer, so that a probe that does not read holds nobody up
	ended  chan struct{} // closed when the stream has ended

	mu      sync.Mutex
	last    int // ID
	pending map[int]chan *Reply
	why     error // wraps ErrEnded; set before ended is closed
}

// NewClient waits for the probe's first word on stream, for half a minute at
// most: a runtime can hang in a container that its limits strangle. The client
// owns stream from then on; closing it, here or elsewhere, ends the client.
func NewClient(stream io.ReadWriteCloser) (*Client, error) {
	c := &Client{
		stream:  stream,
		lines:   make(chan []byte),
		ended:   make(chan struct{}),
		pending: map[int]chan *Reply{},
	}
	in := bufio.NewReader(stream)
	late := time.AfterFunc(firstWord, func() { stream.Close() })
	line, err := readLine(in, lineLimit)
	if !late.Stop() && err != nil {
		err = fmt.Errorf("silent for %s", firstWord)
	}
	if err != nil {
		stream.Close()
		return nil, fmt.Errorf("%w before its first word: %w", ErrEnded, unexpected(err))
	}
	if err := json.Unmarshal(line, &c.hello); err != nil || c.hello.Road != Version {
		stream.Close()
		return nil, fmt.Errorf("not the first word of a probe of version %d: %.100q", Version, line)
	}
	go c.read(in)
	go c.write()
	return c, nil
}

// Hello gives the probe's first word.
func (c *Client) Hello() Hello { return c.hello }

// Do has the probe do one thing and decodes its result into into, which may be
// nil. The error is an *Error where the probe answered with one, wraps ErrEnded
// where it cannot answer any more, and is ctx's where that ended first; the
// probe is then told to give up.
func (c *Client) Do(ctx context.Context, verb string, args, into any) error {
	id, reply, err := c.ask(ctx, verb, args)
	if err != nil {
		return err
	}
	select {
	case r := <-reply:
		return r.decode(verb, into)
	case <-c.ended:
		// The reply may have come just before the end.
		select {
		case r := <-reply:
			return r.decode(verb, into)
		default:
			return c.why
		}
	case <-ctx.Done():
		c.forget(id)
		go c.ask(context.Background(), Cancel, CancelArgs{id})
		return ctx.Err()
	}
}

// Close ends the probe, and what it holds.
func (c *Client) Close() error { return c.stream.Close() }

// ask sends a request and gives the channel on which its reply will come.
func (c *Client) ask(ctx context.Context, verb string, args any) (int, <-chan *Reply, error) {
	var raw json.RawMessage
	if args != nil {
		var err error
		if raw, err = json.Marshal(args); err != nil {
			return 0, nil, fmt.Errorf("%s: %w", verb, err)
		}
	}
	reply := make(chan *Reply, 1)
	c.mu.Lock()
	c.last++
	id := c.last
	c.pending[id] = reply
	c.mu.Unlock()
	line, err := json.Marshal(Request{id, verb, raw})
	if err != nil {
		c.forget(id)
		return 0, nil, fmt.Errorf("%s: %w", verb, err)
	}
	select {
	case c.lines <- append(line, '\n'):
		return id, reply, nil
	case <-c.ended:
		return 0, nil, c.why
	case <-ctx.Done():
		c.forget(id)
		return 0, nil, ctx.Err()
	}
}

func (c *Client) forget(id int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

// read hands each reply to who waits for it, until the stream ends.
func (c *Client) read(in *bufio.Reader) {
	for {
		line, err := readLine(in, lineLimit)
		if err != nil {
			c.end(fmt.Errorf("%w: %w", ErrEnded, unexpected(err)))
			return
		}
		reply := new(Reply)
		if err := json.Unmarshal(line, reply); err != nil {
			c.end(fmt.Errorf("%w: it said %.100q", ErrEnded, line))
			return
		}
		c.mu.Lock()
		waiting := c.pending[reply.ID]
		delete(c.pending, reply.ID)
		c.mu.Unlock()
		if waiting != nil {
			waiting <- reply
		}
	}
}

// write sends each line, until the stream ends.
func (c *Client) write() {
	for {
		select {
		case line := <-c.lines:
			if _, err := c.stream.Write(line); err != nil {
				c.end(fmt.Errorf("%w: %w", ErrEnded, err))
				return
			}
		case <-c.ended:
			return
		}
	}
}

// end is called by the reader and the writer; the first tells why.
func (c *Client) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		c.why = why
		close(c.ended)
		c.stream.Close()
	}
}

func (r *Reply) decode(verb string, into any) error {
	if r.Error != nil {
		return r.Error
	}
	if into == nil || len(r.Result) == 0 {
		return nil
	}
	if err := json.Unmarshal(r.Result, into); err != nil {
		return fmt.Errorf("the probe's answer to %s: %w", verb, err)
	}
	return nil
}

// readLine is ReadBytes('\n') for a line of at most limit bytes.
func readLine(in *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > limit {
			return nil, fmt.Errorf("a line of more than %d bytes", limit)
		}
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// unexpected makes an end in the middle of something an error that reads as one.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
