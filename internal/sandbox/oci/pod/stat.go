package pod

import (
	"os"
	"syscall"
)

// statT is the system's own record behind a FileInfo.
func statT(st os.FileInfo) *syscall.Stat_t { return st.Sys().(*syscall.Stat_t) }
