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
// are, not committed. An interruption that comes when the commit is made already,
// as during a post-commit hook, is no error: the commit's name says that it is.
func (r *Repo) Commit(ctx context.Context, message string, files, created []string) (sha string, err error) {
	before, err := r.head(ctx)
	if err != nil {
		return "", err
	}
	if len(created) > 0 {
		args := append([]string{"add", "--force", "--intent-to-add", "--"}, literal(created)...)
		if _, err := r.run(ctx, nil, args...); err != nil {
			return "", fmt.Errorf("git add: %w", err)
		}
	}
	args := []string{"commit", "--quiet", "--only", "--cleanup=whitespace", "--file=-", "--"}
	_, err = r.run(ctx, strings.NewReader(message), append(args, literal(files)...)...)
	now, err2 := r.head(context.WithoutCancel(ctx))
	switch {
	case err2 != nil:
		return "", err2
	case err != nil && now == before:
		return "", fmt.Errorf("git commit in %s: %w", r.top, err)
	}
	return now, nil
}

// head gives the name of the commit that the work tree is at.
func (r *Repo) head(ctx context.Context) (string, error) {
	out, err := r.run(ctx, nil, "rev-parse", "HEAD")
	if err != nil {
		return "", fmt.Errorf("git rev-parse in %s: %w", r.top, err)
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
