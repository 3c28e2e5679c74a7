package minimalimage

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// What the stage that collects says of itself.
const (
	openedComment   = "# What the app was seen to need, collected: programs, their libraries, files, and\n# directories to write to"
	packagedComment = "# What the app needs, collected: the Debian packages that it was seen to use, but of\n# their programs only those that it ran"
	slimmedComment  = "# What the app needs, collected: all but the package manager, manuals and setuid bits"
)

// comment says what the stage collects, and why that much.
func (p *plan) comment() string {
	switch {
	case p.rung == opened:
		return openedComment
	case p.rung == slimmed:
		return slimmedComment + "\n# With less the app did not work"
	case p.shellFor != "":
		return packagedComment + "\n# The shell stays: " + p.shellFor
	case p.loads == "":
		return packagedComment + "\n# With only the files that it was seen to open it did not work"
	case interpreter.MatchString(path.Base(p.loads)):
		return packagedComment + "\n# Packages as a whole: " + path.Base(p.loads) + " loads modules as they are needed"
	}
	return packagedComment + "\n# Packages as a whole: it loads plug-ins from " + p.loads
}

// skeleton finds the directories that packages make for their programs, and the
// links between them: a program may go into one that it never writes to.
const skeleton = "$(find /run /var -maxdepth 2 ! -type f)"

// collect gives the shell line that collects what the image is to hold.
func (p *plan) collect() string {
	switch p.rung {
	case packaged:
		return p.collectPackages()
	case slimmed:
		return collectBase
	}
	return p.collectOpened()
}

// collectOpened gives the shell line that collects what was opened: with tar, which keeps owners and
// modes; of files it takes what links mean, of directories the links themselves.
func (p *plan) collectOpened() string {
	var steps []string
	pack := func(options string, list []string) {
		steps = append(steps, fmt.Sprintf("tar %s %s --no-recursion \\\n      %s", options, bundle, wrap(list, 90, " \\\n      ")), fmt.Sprintf("tar -xpf %s -C %s", bundle, collection))
	}
	dirs, files := p.dirs, slices.Concat(p.static, p.files)
	if len(p.dynamic) > 0 {
		steps = append(steps, fmt.Sprintf("programs=\"%s\"", strings.Join(p.dynamic, " ")))
		ldd := "ldd $programs"
		if len(p.dynamic) > 1 || strings.Contains(p.dynamic[0], "*") {
			ldd = "for p in $programs; do ldd $p; done" // that of musl takes one
		}
		files = append(files, "$programs", "$("+ldd+" | grep -o '/[^ :]*')")
		dirs = append(dirs, skeleton)
	}
	steps = append(steps, "mkdir "+collection)
	pack("-cf", dirs)
	pack("-chf", append(files, fmt.Sprintf("$(ls %s 2>/dev/null)", bundles)))
	return strings.Join(steps, " \\\n && ")
}

// unwanted are names in packages that no server needs; programs come by themselves.
const unwanted = `^/(usr/)?(s?bin|games)/|^/usr/lib/[^/]+/([^/]+/)?bin/|^/usr/share/(info|lintian|locale|man)/|/(changelog|NEWS|README)[^/]*$`

// accounts is what the C library looks users and hosts up in.
var accounts = []string{"/etc/group", "/etc/nsswitch.conf", "/etc/passwd"}

// authorities are where OpenSSL finds certificates, by name and in one bundle.
const authorities = "/etc/ssl/certs /usr/lib/ssl/certs /usr/lib/ssl/cert.pem /usr/share/ca-certificates"

// collectPackages gives the shell line that collects whole packages, as they are:
// with owners and modes, and links as links. What dpkg knows of each goes where
// scanners look for it.
func (p *plan) collectPackages() string {
	const names, links, status = collection + ".list", collection + ".links", collection + "/var/lib/dpkg/status.d"
	words := func(list []string) string { return wrap(list, 90, " \\\n      ") }
	single := slices.Concat([]string{"$programs", "$(readlink -f $programs)"}, p.links, sortedWithout(slices.Concat(p.dirs, p.files, accounts), p.whole), []string{"$(find / -maxdepth 1 -type l)"})
	steps := []string{
		fmt.Sprintf("packages=\"%s\"", words(p.packages)),
		fmt.Sprintf("programs=\"%s\"", words(slices.Concat(p.static, p.dynamic))),
		fmt.Sprintf("ls -d %s > %s", words(single), names),
		fmt.Sprintf("{ find /run /var -maxdepth 2 ! -type f; \\\n      find %s 2>/dev/null; \\\n      dpkg -L $packages | grep -vE \\\n        '%s'; } >> %s", authorities, unwanted, names),
	}
	if p.compiled {
		steps = append(steps, fmt.Sprintf(`{ find $(sed -n 's|[^/]*\.py$|__pycache__|p' %s | sort -u) 2>/dev/null || true; } >> %s`, names, names))
	}
	steps = append(steps,
		// A file has one name in the archive: that without the links /bin and /lib.
		fmt.Sprintf(`find / -maxdepth 1 -type l -printf 's|^%%p/|/%%l/|\n' > %s && sed -i -f %s %s`, links, links, names),
		fmt.Sprintf("tar -cf %s --no-recursion --ignore-failed-read --warning=none -T %s", bundle, names),
		"mkdir -p "+status,
		fmt.Sprintf("tar -xpf %s --keep-directory-symlink -C %s", bundle, collection),
		fmt.Sprintf("for p in $packages; do dpkg-query -s $p > %s/$p || exit 1; done", status),
		fmt.Sprintf("find %s -type f -perm /6000 -exec chmod ug-s {} +", collection))
	return strings.Join(steps, " \\\n && ")
}

// collectBase gives the shell line that collects all but what only who builds
// images needs.
const collectBase = `mkdir ` + collection + ` \
 && tar -C / --one-file-system -c --exclude=.` + collection + ` --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/*' \
      --exclude='./var/lib/dpkg/info' --exclude='./usr/bin/apt*' --exclude='./usr/bin/dpkg*' --exclude='./usr/lib/apt' \
      --exclude='./usr/lib/dpkg' --exclude='./usr/lib/*/libapt-*' --exclude='./usr/share/info/*' --exclude='./usr/share/man/*' \
      --exclude='./root/.cache' --exclude='./tmp/*' . \
  | tar -xpf - -C ` + collection + ` \
 && find ` + collection + ` -type f -perm /6000 -exec chmod ug-s {} +`
