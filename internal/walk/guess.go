package walk

import (
	"context"

	"road/internal/app"
)

// unguess gives an inferred check as it turned out to be at 1.0: a port that was
// taken for one of HTTP and does not speak it is asked for a connection.
func (w *walker) unguess(check app.Check) app.Check {
	if h := check.HTTP; h != nil && w.noHTTP[check.Name] {
		check.HTTP, check.TCP = nil, &app.TCPCheck{Service: h.Service, Port: h.Port}
	}
	return check
}

// secondGuess asks a port again that does not answer to HTTP at 1.0: its number
// or name was all that spoke for it. Where it takes connections, that is what is
// asked of it from then on; at later stops no check gets easier.
func (w *walker) secondGuess(ctx context.Context, c *checker, stop *Stop, check app.Check, res CheckResult) (app.Check, CheckResult) {
	if res.OK || stop.Number != 1 || check.HTTP == nil || check.HTTP.Status != anyStatus || ctx.Err() != nil {
		return check, res
	}
	if w.noHTTP == nil {
		w.noHTTP = map[string]bool{}
	}
	w.noHTTP[check.Name] = true
	plain := w.unguess(check)
	again := c.run(ctx, plain)
	if !again.OK {
		delete(w.noHTTP, check.Name)
		return check, res
	}
	w.note(check.Name + ": it does not speak HTTP, so a connection is all that is asked of it; road.yaml can say more (checks)")
	return plain, again
}
