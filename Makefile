# The two commands to begin with: make demo, make test. Everything else: make help.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# One at a time: the parts share the build directory.
.NOTPARALLEL:

PACKAGES := libseccomp-dev libcap-dev libhiredis-dev libcurl4-openssl-dev libyaml-dev pkg-config \
  redis-server curl python3 iproute2 nftables procps util-linux e2fsprogs
TEST_PACKAGES := prometheus gcc libc6-dev golang-github-docker-docker-dev squashfs-tools erofs-utils git faketime
BENCH_PACKAGES := bubblewrap runc
MACHINE_PACKAGES := mmdebstrap qemu-system-x86 cpio e2fsprogs

# With Swift's runtime inside: the machine that runs it needs no Swift.
SWIFT_RELEASE := swift build -c release --static-swift-stdlib
PREFIX ?= /usr/local
# Where agents' tools are; shipped profiles show this one inside.
TOOLS ?= /opt/botburrow/tools
TESTS = BOTBURROW_TEST_PYTHON="$$(scripts/test-python.sh)" BOTBURROW_TEST_CLIENTS="$$(scripts/test-clients.sh)" swift test --skip-build --disable-xctest
# At most so many tests at a time: what watches the clock shall not wait for a hundred others.
WIDTH := --experimental-maximum-parallelization-width 8
# Suites that keep every core busy or would be late beside others: after the others, of which some watch the clock. And what
# needs low descriptor numbers, which hundreds of connections of other tests take.
HEAVY := Spawned.descriptors|HostileTests|ShortChaosTests|ShortFailoverTests|SentinelTests|ClockTests|[.]TermTests|FaultTests|SoakTests|LearnTests|WorkspaceTests|ImageRootTests|DenialTests|WorkspaceStoreTests|aRequestOf32MegabytesPasses
# Where 'make hostile' writes its table; empty: nowhere.
TABLE ?= docs/security.md
RELEASE := .build/release

SOAK_SANDBOXES ?= 20000
SOAK_KILLS ?= 2000
# At each named step.
SOAK_EACH ?= 20
CHAOS_ITEMS ?= 2000
# More of botburrow-failover, such as '--kills 5 --hand-overs 0 --stops 0'.
FAILOVER_ARGUMENTS ?=
# More of botburrow-chaos, such as '--seed 7 --mode no-keys'.
CHAOS_ARGUMENTS ?=

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

demo: deps release ## build, run the whole system, have two agents answer a mention, show it, leave nothing
	@scripts/demo.sh $(RELEASE)/botburrow

test: deps test-deps lint ## run every test (as root; what needs root or a cgroup controller is skipped otherwise)
	swift build --build-tests
	$(TESTS) $(WIDTH) --skip '$(HEAVY)'
	$(TESTS) --no-parallel --filter '$(HEAVY)'
	@server="$$(scripts/test-valkey.sh)"; if [ -n "$$server" ]; then \
	  echo "the queue's tests against $$("$$server" --version)"; \
	  BOTBURROW_TEST_SERVER="$$server" swift test --skip-build --disable-xctest $(WIDTH) --filter '^(RedisTests|WorkTests)\.'; \
	else echo "skipped: the queue's tests against Valkey"; fi

hostile: deps release ## try to get out of a sandbox of every profile in every way we know (as root); PROFILES="a b" for some
	$(SWIFT_RELEASE) --product hostile-probe
	$(SWIFT_RELEASE) --product botburrow-hostile
	@$(RELEASE)/botburrow-hostile $(if $(PROFILES),$(addprefix -p ,$(PROFILES)),$(addprefix --table ,$(TABLE)))

tools: deps ## install the real tools of agents that PyPI has, run each through the whole system (as root; TOOLS=directory)
	-scripts/tools.sh $(TOOLS)
	swift build --product botburrow
	swift build --product botburrow-init
	swift build --product botburrow-agent
	swift build --product botburrow-tools
	.build/debug/botburrow-tools --prefix $(TOOLS)

machine: deps machine-deps release ## boot Debian 12 in a machine of its own: limits, delegation, Landlock, hostile (as root)
	$(SWIFT_RELEASE) --product botburrow-machine
	$(SWIFT_RELEASE) --product hostile-probe
	$(SWIFT_RELEASE) --product botburrow-hostile
	@scripts/machine.sh $(RELEASE)

soak: deps release ## 20,000 sandboxes in a row, 2,000 deaths, nothing left (as root; SOAK_SANDBOXES, SOAK_KILLS, SOAK_EACH)
	$(SWIFT_RELEASE) --product botburrow-soak
	swift build --product botburrow
	swift build --product botburrow-init
	$(RELEASE)/botburrow-soak --release $(RELEASE) --debug .build/debug \
	  --sandboxes $(SOAK_SANDBOXES) --kills $(SOAK_KILLS) --each $(SOAK_EACH)

chaos: deps release ## break the running system at random while it answers 2,000 questions (as root; CHAOS_ITEMS, CHAOS_ARGUMENTS)
	$(SWIFT_RELEASE) --product botburrow-chaos
	$(RELEASE)/botburrow-chaos --programs $(RELEASE) --items $(CHAOS_ITEMS) $(CHAOS_ARGUMENTS)

failover: deps ## kill, end and stop leading coordinators, 50 times each; time the next one, judge who wrote (FAILOVER_ARGUMENTS)
	$(SWIFT_RELEASE) --product botburrow
	$(SWIFT_RELEASE) --product botburrow-failover
	$(RELEASE)/botburrow-failover --programs $(RELEASE) $(FAILOVER_ARGUMENTS)

bench: deps bench-deps release ## measure, print the table, keep it in docs/performance.md
	$(SWIFT_RELEASE) --product botburrow-bench
	$(SWIFT_RELEASE) --product botburrow-bench-mcp
	$(SWIFT_RELEASE) --product botburrow-bench-model
	$(SWIFT_RELEASE) --product botburrow-bench-model-serve
	$(SWIFT_RELEASE) --product botburrow-floor
	$(SWIFT_RELEASE) --product botburrow-bench-queue
	@scripts/bench.sh $(RELEASE)

lint: ## check the formatting
	swift format lint --strict -r Package.swift Sources Tests Benchmarks

format: ## format the sources
	swift format -i -r Package.swift Sources Tests Benchmarks

build: deps ## build for development
	swift build

release: deps ## build for use
	$(SWIFT_RELEASE) --product botburrow
	$(SWIFT_RELEASE) --product botburrow-init
	$(SWIFT_RELEASE) --product botburrow-agent

install: release ## install under PREFIX (/usr/local), with units, profiles and the configuration's example
	scripts/install.sh $(RELEASE) $(DESTDIR) $(PREFIX)

deps: ; @scripts/packages.sh $(PACKAGES)
test-deps: ; @scripts/packages.sh $(TEST_PACKAGES)
bench-deps: ; @scripts/packages.sh $(BENCH_PACKAGES)
machine-deps: ; @scripts/packages.sh $(MACHINE_PACKAGES)

clean: ## remove what was built
	rm -rf .build

.PHONY: help demo test hostile tools machine soak chaos failover bench lint format build release install deps test-deps bench-deps machine-deps clean
