package nonroot

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"
)

// What the lines that fix changes in an entry point say of themselves.
const (
	dropComment = "# This starts as its user, and has no root to give away"
	ownComment  = "# What the user writes to is the user's already, in the image or by the pod's fsGroup"
)

// dropsTo gives the account that an image's entry point goes on as, nil for none
// that is known.
func dropsTo(a *app.App, img *app.Image, known accounts) *app.Account {
	if img.Build == nil {
		return nil
	}
	var users []string
	if s := img.Build.Dockerfile.Final(img.Build.Target); s != nil {
		for _, act := range img.Build.Dockerfile.StartActs(s) {
			users = append(users, act.User)
		}
	}
	for _, s := range a.Scripts(img.Build) {
		for _, act := range s.RootActs() {
			if act.Drop {
				users = append(users, act.User)
			}
		}
	}
	for _, user := range users {
		name, _, _ := strings.Cut(user, ":")
		acc := known.byName(name)
		if n := number(name); acc == nil && n > 0 {
			acc = &app.Account{UID: n, GID: n}
			if made := known.byUID(n); made != nil {
				acc = made
			}
		}
		if acc != nil && acc.UID > 0 {
			return acc
		}
	}
	return nil
}

// fixStart gives the edits of the instructions that start the image: who is not
// root can go on as nobody else.
func fixStart(b *build) []edit.Edit {
	var edits []edit.Edit
	for _, act := range b.image.Build.Dockerfile.StartActs(b.stage) {
		edits = append(edits, b.replace(act.Instruction, dropComment+"\n"+act.Text)...)
	}
	return edits
}

// fixScripts gives the edits of the scripts that the image starts with: who is not
// root can go on as nobody else, and gives nothing away that he does not have; on a
// volume, which is root's, he is refused. What stands where only root comes by stays.
func fixScripts(a *app.App, b *build) []edit.Edit {
	var edits []edit.Edit
	for _, s := range a.Scripts(b.image.Build) {
		acts := slices.DeleteFunc(s.RootActs(), func(act app.RootAct) bool { return act.Guarded })
		if len(acts) == 0 {
			continue
		}
		lines := bytes.Split(s.Content, []byte("\n"))
		said := map[string]bool{}
		changed := s.WithoutRoot(acts)
		for _, line := range slices.Sorted(maps.Keys(changed)) {
			text, comment := changed[line], ownComment
			if slices.ContainsFunc(acts, func(act app.RootAct) bool { return act.Drop && act.Line == line }) {
				comment = dropComment
			}
			follows := line > 1 && bytes.HasSuffix(bytes.TrimRight(lines[line-2], "\r"), []byte("\\")) // no place for a comment
			if !said[comment] && !follows {
				said[comment] = true
				text = text[:len(text)-len(strings.TrimLeft(text, " \t"))] + comment + "\n" + text
			}
			edits = append(edits, edit.Edit{File: s.File, Lines: &edit.Lines{After: line - 1, Replace: 1, Text: strings.TrimSuffix(text, "\r")}})
		}
	}
	return edits
}
