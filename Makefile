# make demo    everything from a fresh Debian machine to the demo's walk, as root
# make test    all tests, real ones too where this machine can run them
# make lint    gofmt, vet, staticcheck
# make bench   what hardening, starting, checking and walking cost, beside the goals
# make docs    record a real walk and write docs/ from it and the steps' explanations
# make servers walk the server programs in examples/servers and write their page

GO := hack/go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Nothing here needs a C compiler.
export CGO_ENABLED := 0
# The programs tell their commit, whatever GOFLAGS says. Under sudo git may refuse to
# look into a checkout that belongs to another user.
VCS := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo -buildvcs=auto || echo -buildvcs=false)

.PHONY: demo build test lint bench docs servers clean setup

demo: build
	./bin/road walk

build: setup
	@hack/build.sh $(VCS)

test: setup
	$(GO) test -timeout 30m $(TESTFLAGS) ./...
	cd demo/app && GOTOOLCHAIN=local ../../$(GO) test $(TESTFLAGS) ./...

lint: setup
	hack/lint.sh $(STATICCHECK)

bench: build
	$(GO) build $(VCS) -o bin/ ./bench
	./bin/bench $(BENCHFLAGS)

docs: build
	./bin/road walk -o json > bin/walk.json
	$(GO) test ./docs -update -record $(CURDIR)/bin/walk.json

servers: build
	hack/servers.sh bin/servers
	$(GO) test ./docs -update -servers $(CURDIR)/bin/servers

setup:
	@hack/setup.sh

clean:
	rm -rf bin
