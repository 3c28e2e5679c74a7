/*
Road hardens a containerized application one step at a time and proves every
step: it shows the diff, runs the real attack before and after in a real
container, and checks that the application still works.

Usage:

	road walk [PATH]       take the application down the road, on a copy;
	                       --write and --commit keep what was done
	road check [PATH | -]  where on the road it stands, and what is missing
	road fix [PATH]        the fixes that need no run, as a diff; -w writes them
	road learn [PATH]      what the application needs, as a run shows it
	road attack [PATH]     the attacks alone, against the application as it stands
	road up [PATH]         run it at a stop of the road, to try it by hand
	road down [NAME]       end what up -d started
	road prune             remove images and build results that nobody used lately
	road init [PATH]       write a road.yaml with what road infers
	road explain [STEP]    the chapter of a step
	road doctor            what this host can prove, and how to mend the rest
	road version           which road this is, and of which commit (-o json)
	road completion SHELL

Walk, attack, learn and up take the built-in demo where no PATH is given, check and fix
the current folder. PATH is the folder that holds the Kubernetes manifests and
the Dockerfiles; a file road.yaml at its top says what cannot be inferred. Check
also takes one file, or manifests on standard input:

	helm template --no-hooks mychart | road check -

Fix's diff names files as the current folder has them, as far as they lie below
it, so that git apply and patch -p1 take it there:

	road fix PATH | git apply

# Stops

The application as it came is 1.0. Each step leads to the next number. --to
names the last stop; --only and --skip choose steps. All three take names and
numbers.

# What does not count

Check exits with 1 for every finding that counts. A finding that is to wait gets an
exception, with a reason and the last day on which it holds: in road.yaml,

	exceptions:
	- {step: read-only-root, workload: web, container: web, reason: "writes its cache", until: 2027-01-31}

where container may be left out, or as an annotation on the workload or its pods:

	road/except.read-only-root: "2027-01-31 writes its cache"
	road/except.read-only-root.CONTAINER: "2027-01-31 writes its cache"

Walk and fix leave what is excepted as it is, and say so. After that day (in UTC)
it counts again. To begin with a gate where much is to do, keep what is known:

	road check --write-baseline road-baseline.json .
	road check --baseline road-baseline.json .

The second fails for what is new alone. It knows a finding again though lines moved,
its file got another name or the image another tag; what another check wrote with
-o json serves as well. The outputs sarif and junit have what does not count as
suppressed and skipped; github writes annotations for pull requests.

# The clusters that it is for

Road writes for today's Kubernetes. Where the clusters are older, road.yaml says so:

	target: {kubernetes: "1.33", runtime: containerd-1.7}

What they do not bear is left out with the reason: user namespaces need Kubernetes
1.33 and containerd 2.0, a ValidatingAdmissionPolicy 1.30, seccompProfile 1.19.

OpenShift gives pods their users: --openshift of walk, fix, check, attack, learn and
up, or target: {openshift: true}, writes no runAsUser, runAsGroup and fsGroup, takes
out those that are there, and gives what the application writes to group 0 in its
image. A pod that says runAsNonRoot: true then runs as user 1000650000 of group 0, as
restricted-v2 would have it, so that the walk shows whether the application bears
that. Names and ingress are those of OpenShift in network policies; user namespaces
are left out, since such users do not fit into one.

# Kustomizations and charts

A kustomization or a Helm chart in PATH is rendered by the libraries of kustomize
and Helm (the program road-render beside road), with no network and no plugins. Where
PATH holds several, give the folder of one, or say which in road.yaml:

	kustomization: overlays/prod
	helm: {chart: chart, release: web, namespace: web, values: [values-prod.yaml]}

A fix lands where its owner would put it: an images: entry, a patch that has the
field, the base, else a new patch; in values.yaml where a key of it reaches the
field and nothing else, found by rendering with it, else in post-render/ beside the
chart, with the line of helm install that uses it. Templates are never edited. What
was written is rendered again and has to mean what was meant.

post-render/ is for one release: it goes by the names that the chart gives to this.
The line is one of

	HELM_PLUGINS=CHART helm install RELEASE CHART --post-renderer CHART-post-render
	helm install RELEASE CHART --post-renderer CHART/post-render/run

with Helm 4, which takes the name of a plugin, and with Helm 3, which takes a
program. Both need kubectl. Hooks pass by: helm runs them at times of its own. The
namespace that the release lies in is no part of it either, since helm cannot take it
over: a Namespace in post-render/ is for kubectl apply, before helm install.

# What a run shows

Learn says what each container was seen to need: directories that it writes, ports,
connections, memory, processor and system calls. With --save FILE it is kept
(schema road/seen/v1, which -o json gives too), and

	road fix --seen FILE

writes what only a run can tell: a read-only root with its volumes, limits, network
policies. It refuses a file that is about other workloads or images. Such a record
is as complete as the checks in road.yaml are.

Walk and fix write the runtime's default filter of system calls. With --seccomp
localhost, or "steps: {seccomp: {profile: localhost}}" in road.yaml, each container
gets a profile of the calls that it was seen to make, in profiles/ beside the
manifests. Every node needs it below /var/lib/kubelet/seccomp.

# What PATH lacks

A Secret, ConfigMap, volume claim or service account that a pod refers to and no
manifest declares is made for the walk, with "placeholder" for each key that is
named; the report says so. road.yaml can give better values:

	secrets: {db: {password: something}}
	configMaps: {settings: {mode: fast}}

What the application calls by a name that nothing serves, such as a database of
somebody else's, another server can stand in for: an image with what it is
started with, or one more pod of a workload. It stands outside, is not attacked
and never changed. Where the real one is (address, or namespace and labels in the
cluster) goes into the network policy; without that the policy says what it lacks:

	services:
	  db.example.com: {image: postgres-dev, port: 5432, env: {PASSWORD: {secret: db, key: password}}, address: 10.20.0.5}
	  queue.infra: {workload: queue, namespace: infra, labels: {app: queue}}

A check's client program (pod) comes from an image of the application's, as it was
when the walk began, or from one that images: names besides. The latter is better
for what is kept: a hardened image has no client in it any more.

Where PATH has no Dockerfile for an image, it is pulled. It may also lie in PATH
as a docker save file or the folder of an OCI layout:

	images: {web: {archive: images/web.tar}}

Images that are built from PATH have no digest that a cluster could ask for.
--registry HOST has the step pinned-image push them there, which moves their tags,
and write the digests that the registry answers. steps: {registry: HOST} in
road.yaml only names it: the step then says what to add to the command line.
steps: {registry: in-process} uses a registry inside road, for trying it out.

# Keeping what was walked

Walk works on a copy. --write brings what the done steps changed back to PATH at
the end; --commit makes one git commit for each of them instead, whose message
says what changed, what it prevents with the lines that show it, and what stays
open. Files keep their owner, group, mode and access control list. Where a new
file could not have them, as that of another user for all but root, the file is
written into, or refused where that is not allowed. One with several hard links
parts from the other names. Nothing is overwritten that changed since the copy
was made. While a walk that brings back goes on, another of the same
folder is refused; commits in one repository wait for each other. An application
that keeps data is started once more at the end, on empty volumes.

--commit refuses, before anything runs, a PATH in no git repository or in the
middle of a merge or rebase, an owner without a name in git's configuration, and
files with changes that are not committed where the chosen steps must change
them or find what only a run can mend. It commits the files of the steps alone;
what else is staged stays staged. Git runs as the owner of the repository, under
sudo too, with the owner's configuration and hooks. Where a hook refuses, the
commits before it stand, and the files of its stop lie there to go on with.

# Output

Data goes to stdout, all else to stderr. -o json gives the report (schema
road/report/v1), check's findings (road/check/v1) or doctor's diagnosis
(road/doctor/v1). Colours need a terminal and no NO_COLOR. -q is silent but for
errors.

Reports, commits and what learn saves show *** in the place of secrets: values of
Secrets, and others that go by a name such as DB_PASSWORD or API_TOKEN, in env,
ConfigMaps, arguments, Dockerfiles and images, and passwords in addresses. Shown as
they are: a Secret's username, host, port and the like, what a name in the
application holds, short numbers, and what is shorter than four bytes.

An attack has succeeded, was blocked, or is unproven. It counts as blocked only
where the same attack was seen to succeed in the same run on a weaker variant of
the application: as it came, at the stop before, or with the protection taken
away.

# Exit status

	0    check, attack: nothing found; fix: no diff; walk: every step is done or
	     was there already, none of its attacks succeeds after it (unproven ones
	     count with --strict alone), the application works
	1    findings, an attack that succeeded, a diff, a step left out
	2    wrong usage, files that cannot be used (those that lie in a folder beside
	     others are passed by and named), an application that does not work as it
	     came
	3    the host or the tool: no runc, not root, no network, a port in use
	130  interrupted; an application that up runs is meant to end that way: 0

# Requirements

Walk, attack, learn and up need Linux, root and an OCI runtime (runc). Doctor says what
is missing. The others run anywhere.

# Disk

Images, build results and bases are kept below /var/lib/road, so that the next walk
is quick. What no build has used for two weeks goes by itself, at the start of a run
that is the only one. Prune removes what nobody has used for a day (--older-than),
with --all everything, and says how much; while something runs it refuses, since
that needs its layers.

# Environment

	NO_COLOR    no colours
	ROAD_STATE  where images and caches are kept; default /var/lib/road
*/
package main
