package walk

import (
	"context"
	"fmt"

	"road/internal/app"
)

// publish asks, for a step that writes digests, which ones the lane's images have.
// They are those of the application as it stands, so they are asked for anew at
// every such step. Only what the road itself came to is pushed to a registry of
// the user's: a variant that serves to compare, as 1.0 plus only this step, would
// move his tags to an image that nobody asked for.
func (w *walker) publish(ctx context.Context, l *lane, p planned, stop *Stop) error {
	if !p.step.Publish {
		return nil
	}
	done := w.phase(stop, Building, &stop.Parts.Build, "asking for digests")
	pins, err := w.o.Engine.Publish(ctx, l.app, l == w.lane, w.progress(stop))
	done(err == nil, detailOf(err, "asked for "+count(len(pins), "digest")))
	if err != nil {
		return fmt.Errorf("ask for the digests of the images: %w", err)
	}
	l.app.Seen.Pins = pins
	if l != w.lane {
		return nil
	}
	for _, pin := range pins {
		if pin.Registry == app.InProcess {
			w.note(fmt.Sprintf("%s: the digests are those of a registry in process (road.yaml: steps: registry): for a cluster, push the images to a registry of yours and pin what it answers", p.step.Name))
			break
		}
	}
	return nil
}
