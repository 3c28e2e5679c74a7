package pod

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const workerStatus = "Name:\tnginx\nUid:\t33\t33\t33\t33\nGid:\t33\t33\t33\t33\nGroups:\t50 33 \nCapInh:\t0000000000000000\n" +
	"CapPrm:\t0000000000000001\nCapEff:\t0000000000000001\nCapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t0\n"

func TestReadIdentity(t *testing.T) {
	got, err := readIdentity(workerStatus)
	want := identity{uid: 33, gid: 33, groups: []uint32{33, 50}, permitted: 1, bounding: 0xa80425fb, noNewPrivs: true, settled: true}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(identity{})); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	for name, status := range map[string]string{"empty": "", "cut": workerStatus[:60]} {
		if _, err := readIdentity(status); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, line := range []string{"Uid:\t0\t33\t33\t33\nGid:\t33\t33\t33\t33", "Uid:\t33\t33\t0\t33\nGid:\t33\t33\t33\t33", "Uid:\t33\t33\t33\t33\nGid:\t33\t33\t0\t33"} {
		id, err := readIdentity(line + "\nCapPrm:\t0\nCapBnd:\t0\nNoNewPrivs:\t0\n")
		if err != nil || id.settled {
			t.Errorf("%q: settled %v, %v", line, id.settled, err)
		}
	}
}

func TestDifference(t *testing.T) {
	root := identity{permitted: 7, bounding: 7}
	for _, c := range []struct {
		now  identity
		base uint32
		was  identity
		want string
	}{
		{identity{uid: 999, gid: 50}, 0, root, "uid 999, gid 50: the entry point drops root"},
		{identity{uid: 100999, gid: 100999}, 100000, identity{uid: 100000, gid: 100000}, "uid 999, gid 999: the entry point drops root"},
		{identity{uid: 5, gid: 5}, 0, identity{uid: 4, gid: 4}, "uid 5, gid 5: the entry point begins as uid 4, gid 4"},
		{identity{permitted: 1, bounding: 1}, 0, root, "uid 0, gid 0: the entry point keeps 1 of 3 capabilities"},
		{identity{permitted: 7, bounding: 7, noNewPrivs: true}, 0, root, "uid 0, gid 0: the entry point gives up new privileges"},
		{identity{permitted: 7, bounding: 7, groups: []uint32{1}}, 0, root, "uid 0, gid 0: the entry point changes its groups"},
	} {
		if same(c.now, c.was) {
			t.Errorf("%+v counts as no difference", c.now)
		}
		if got := difference(c.now, c.was, c.base); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
