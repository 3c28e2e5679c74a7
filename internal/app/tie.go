package app

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// dockerfiles parses every Dockerfile.
func (l *loader) dockerfiles() {
	named := map[string]bool{}
	for _, i := range l.app.Config.Images {
		if i.Archive == "" {
			named[i.file(l.app.Config.dir(), l.exists)] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		if !IsDockerfileName(name) && !named[name] || l.single {
			continue
		}
		l.app.files[name] = l.files[name]
		d, err := ParseDockerfile(name, l.files[name])
		if err != nil {
			p := err.(Problem)
			p.Unread = true
			l.app.Problems, l.broken = append(l.app.Problems, p), append(l.broken, p)
			continue
		}
		l.app.Dockerfiles = append(l.app.Dockerfiles, d)
	}
}

// images lists the images that the workloads name and ties each to the
// Dockerfile that makes it:
//
//  1. as road.yaml says;
//  2. else by name: the last part of the image's name is that of the folder that
//     holds the Dockerfile (src/web/Dockerfile makes registry.example/shop/web:1;
//     at the top of PATH, the name of PATH itself), or the Dockerfile's own
//     (Dockerfile.web). Of several, the one nearest to the top;
//  3. else the only Dockerfile below PATH, where it makes no other image, makes
//     the only image that is left and that people do not commonly pull (published).
//
// A Dockerfile never makes the image that it starts from: redis/Dockerfile with
// FROM redis:8 is not where redis:8 comes from.
//
// A Dockerfile that could not be read makes nothing, and takes its image away from
// no other by the first two rules; by the third there is then no only one.
func (l *loader) images() {
	a := l.app
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			if ref := c.Spec.Image; ref != "" && a.Image(ref) == nil {
				a.Images = append(a.Images, &Image{Ref: ref, Name: imageName(ref)})
			}
		}
	}
	for _, i := range a.Images {
		l.tie(i)
	}
	l.standIns()
	l.onlyBuild()
}

// tie says where an image comes from, by rules 1 and 2.
func (l *loader) tie(i *Image) {
	if c, ok := l.app.Config.Images[i.Name]; ok && c.Archive != "" {
		i.Archive = c.Archive
	} else if ok {
		i.Build = l.chosenBuild(c)
		if file := c.file(l.app.Config.dir(), l.exists); i.Build == nil {
			i.Broken = l.unreadDockerfile(func(d *Dockerfile) bool { return d.File == file })
		}
	} else if i.Build = l.buildByName(i.Name); i.Build == nil && !published(i.Name) {
		// Whether one starts from the published image of its name nobody can read.
		i.Broken = l.unreadDockerfile(func(d *Dockerfile) bool { return l.called(d, path.Base(i.Name)) })
	}
}

// unreadDockerfile gives the fault of the Dockerfile that makes something, of several
// the first by name; nil for none.
func (l *loader) unreadDockerfile(makes func(*Dockerfile) bool) *Problem {
	for i := range l.broken {
		if makes(&Dockerfile{File: l.broken[i].File}) {
			return &l.broken[i]
		}
	}
	return nil
}

// SplitRef takes an image reference apart; what it lacks is "".
func SplitRef(ref string) (name, tag, digest string) {
	name, digest, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, tag = name[:i], name[i+1:]
	}
	return name, tag, digest
}

// imageName takes tag and digest off an image reference.
func imageName(ref string) string {
	name, _, _ := SplitRef(ref)
	return name
}

// file gives the name of the Dockerfile that road.yaml chooses: relative to the
// context, as in a Compose file, or where that does not stand to dir, the folder of
// road.yaml.
func (c ImageConfig) file(dir string, exists func(string) bool) string {
	if c.Dockerfile == "" {
		return path.Join(c.Context, "Dockerfile")
	}
	if inContext := path.Join(c.Context, c.Dockerfile); exists(inContext) {
		return inContext
	}
	return path.Join(dir, c.Dockerfile)
}

func (l *loader) exists(name string) bool {
	_, ok := l.files[name]
	return ok
}

// chosenBuild follows road.yaml; where its Dockerfile is missing or broken,
// references reports that and the image has no build.
func (l *loader) chosenBuild(c ImageConfig) *Build {
	d := l.app.Dockerfile(c.file(l.app.Config.dir(), l.exists))
	if d == nil {
		return nil
	}
	return &Build{Context: path.Clean(c.Context), Dockerfile: d, Target: c.Target, Args: c.Args}
}

// buildByName finds the Dockerfile that is called like the image.
func (l *loader) buildByName(name string) *Build {
	var found []*Dockerfile
	best := -1
	for _, d := range l.app.Dockerfiles {
		if !l.called(d, path.Base(name)) || startsFrom(d, name) {
			continue
		}
		depth := strings.Count(d.File, "/")
		if best < 0 || depth < best {
			found, best = nil, depth
		}
		if depth == best {
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		return nil
	}
	if len(found) > 1 && path.Dir(found[0].File) != path.Dir(found[1].File) {
		l.app.Problems = append(l.app.Problems, Problem{
			Pos:     Pos{File: found[0].File},
			Message: fmt.Sprintf("image %s may be made here or by %s", name, found[1].File),
			Hint:    "say which under images: in " + FileName,
		})
		return nil
	}
	d := found[0]
	return &Build{Context: path.Dir(d.File), Dockerfile: d, Inferred: "its name"}
}

// called says whether a Dockerfile goes by a name: its folder's, or its own.
func (l *loader) called(d *Dockerfile, name string) bool {
	base := path.Base(d.File)
	for _, own := range []string{
		strings.TrimPrefix(base, "Dockerfile."), strings.TrimPrefix(base, "Containerfile."),
		strings.TrimSuffix(strings.TrimSuffix(base, ".Dockerfile"), ".dockerfile"),
	} {
		if own != base {
			return own == name
		}
	}
	dir := path.Dir(d.File)
	if dir == "." {
		return l.app.Name == name
	}
	return path.Base(dir) == name
}

// startsFrom says whether a Dockerfile begins with the image of that name.
func startsFrom(d *Dockerfile, name string) bool {
	return slices.ContainsFunc(d.Stages, func(s *Stage) bool { return imageName(s.Base) == name })
}

// onlyBuild ties the only Dockerfile to the only image that is left.
func (l *loader) onlyBuild() {
	a := l.app
	rest := slices.DeleteFunc(slices.Clone(a.Dockerfiles), func(d *Dockerfile) bool {
		return slices.ContainsFunc(a.StandIns, func(i *Image) bool { return i.Build != nil && i.Build.Dockerfile == d })
	})
	if len(rest)+len(l.broken) != 1 {
		return
	}
	var left []*Image
	for _, i := range a.Images {
		if i.Build != nil || i.Broken != nil {
			return
		}
		if _, chosen := a.Config.Images[i.Name]; !chosen && !published(i.Name) {
			left = append(left, i)
		}
	}
	for _, i := range left {
		if i.Name != left[0].Name || len(rest) == 1 && startsFrom(rest[0], i.Name) {
			return
		}
	}
	for _, i := range left {
		if len(rest) == 0 {
			i.Broken = &l.broken[0]
			continue
		}
		d := rest[0]
		i.Build = &Build{Context: path.Dir(d.File), Dockerfile: d, Inferred: "the only Dockerfile"}
	}
}

// published says whether an image is one that people pull and do not build: an
// official one of Docker Hub, or from a registry where projects publish.
func published(name string) bool {
	host, rest, ok := strings.Cut(name, "/")
	if !ok {
		return officialImages[name]
	}
	switch host {
	case "registry.k8s.io", "k8s.gcr.io", "mcr.microsoft.com", "public.ecr.aws", "gcr.io":
		return host != "gcr.io" || strings.HasPrefix(rest, "google-containers/") || strings.HasPrefix(rest, "distroless/")
	case "docker.io", "index.docker.io", "library":
		return officialImages[strings.TrimPrefix(strings.TrimPrefix(rest, "library/"), "/")]
	case "bitnami", "grafana", "prom", "hashicorp", "jaegertracing", "otel", "opensearchproject":
		return true
	}
	return false
}

// officialImages are those that Docker publishes under a name without a slash
// and that manifests commonly use.
var officialImages = setOf(`
	adminer almalinux alpine amazoncorretto archlinux bash busybox caddy cassandra
	centos chronograf clojure consul couchbase couchdb debian docker drupal
	eclipse-mosquitto eclipse-temurin elasticsearch elixir erlang fedora fluentd
	ghost golang gradle groovy haproxy haskell hello-world httpd influxdb java
	jenkins jetty joomla julia kapacitor keycloak kibana kong logstash mariadb
	maven mediawiki memcached mongo mongo-express mysql nats neo4j nextcloud nginx
	node openjdk oraclelinux perl percona php phpmyadmin postgres pypy python r-base
	rabbitmq redis redmine registry rethinkdb rockylinux ruby rust scratch solr
	sonarqube swift telegraf tomcat traefik ubuntu varnish vault wordpress zookeeper`)

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}
