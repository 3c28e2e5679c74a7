package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"road/internal/admission"
)

// probeProgram is the attacker's code.
const probeProgram = "road-probe"

// needed are the programs of road's own that whatever runs needs. They are looked
// for before anything starts: a walk comes to the last of them when it is nearly
// over. The one that renders is missed as soon as the application is read.
var needed = []string{probeProgram, admission.Program}

// beside finds programs of road's own beside this one, and says which are missing.
func beside(names ...string) (dir string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	dir = filepath.Dir(self)
	var lack []string
	for _, name := range names {
		// The folder may be closed to who runs this, who is told to be root then.
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrPermission) {
			lack = append(lack, name)
		}
	}
	if len(lack) > 0 {
		return "", &fault{HostFault, fmt.Errorf("not beside %s: %s", self, strings.Join(lack, ", ")),
			"make build, or go build -o " + dir + "/ ./cmd/... (all programs of road belong in one folder)"}
	}
	return dir, nil
}
