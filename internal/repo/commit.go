package repo

import (
	"context"
	"fmt"
	"strings"
)

// Commit commits files, named relative to the folder, as they are on disk, and
// gives the commit's name. created are those among them that git does not know
// yet; an ignore rule does not keep them out. What else is staged stays staged.
//
// Where a hook refuses, the error holds what it said, and the files stay as they
// are, not committed.
func (r *Repo) Commit(ctx context.Context, message string, files, created []string) (sha string, err error) {
	if len(created) > 0 {
		args := append([]string{"add", "--force", "--intent-to-add", "--"}, literal(created)...)
		if _, err := r.run(ctx, nil, args...); err != nil {
			return "", fmt.Errorf("git add: %s", said(err))
		}
	}
	args := []string{"commit", "--quiet", "--only", "--cleanup=whitespace", "--file=-", "--"}
	if _, err := r.run(ctx, strings.NewReader(message), append(args, literal(files)...)...); err != nil {
		return "", fmt.Errorf("git commit in %s: %s", r.top, said(err))
	}
	out, err := r.run(ctx, nil, "rev-parse", "HEAD")
	if err != nil {
		return "", fmt.Errorf("git rev-parse: %s", said(err))
	}
	return strings.TrimSpace(out), nil
}

// Forget takes files that Commit announced and could not commit out of the index
// again.
func (r *Repo) Forget(ctx context.Context, created []string) error {
	if len(created) == 0 {
		return nil
	}
	_, err := r.run(ctx, nil, append([]string{"reset", "--quiet", "--"}, literal(created)...)...)
	return err
}
