# Everything works in a fresh Debian root shell with only make and git installed:
# tools/setup installs what is missing.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
GO          := tools/go

PROGRAMS  := mrtecopy intercept
# The tests that need a lab are not unit tests.
UNIT       = $$($(GO) list ./... | grep -v '/e2e')
# The packages without input and output; they are tested without root.
CORE      := seq wire buffer mysql policy flow tcpstate session
COVERAGE  := 85
FUZZTIME  := 10s
SOAK      := 10m
FRESH     := 1m
CHURN     := 30m
ADOPT     := 2m
E2E       := ./e2e/...

.PHONY: help build demo lab-up lab-down test unit core e2e test-matrix soak churn adopt reliability simulate race check vulncheck fuzz bench pgo bench-lab clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r t h; do printf 'make %-13s %s\n' "$$t" "$$h"; done

build: ## bin/mrtecopy and bin/intercept, static
	@tools/setup build
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ $(PROGRAMS:%=./cmd/%)

demo: ## a lab, a sysbench load of 20 s, and what arrived of it
	@tools/setup lab
	@CGO_ENABLED=0 $(GO) build -o bin/ ./cmd/lab
	@bin/lab demo

lab-up: ## raise a lab to try things in
	@tools/setup lab
	@CGO_ENABLED=0 $(GO) build -o bin/ ./cmd/lab
	@bin/lab up

lab-down: ## take it down
	@CGO_ENABLED=0 $(GO) build -o bin/ ./cmd/lab
	@bin/lab down

test: unit core e2e ## all tests, the end-to-end ones included; none may be skipped
	@echo "ALL TESTS PASSED: unit tests with the race detector, coverage of the core, end-to-end tests."

unit: ## the unit tests with the race detector
	@tools/setup test
	@NETNS=require $(GO) test -race -json $(UNIT) | $(GO) run ./tools/verdict "unit tests"
	@$(GO) test -tags oracle -json ./internal/policy | $(GO) run ./tools/verdict "the policy against a parser"
	@$(GO) test -count=1 -json -run 'TestSimulation$$' ./internal/simulation -fresh=20s | $(GO) run ./tools/verdict "the simulation, with fresh seeds"

# As another user, who can have no namespaces: the pure core needs no root. The
# tests are compiled first, since that user has no cache to build in.
core: ## the pure core's line coverage, without root
	@tools/setup build
	@tools/coverage $(COVERAGE) $(CORE)

e2e: ## the end-to-end tests, or those that match RUN=
	@tools/setup test
	@$(if $(RUN),LAB=require $(GO) test -v -count=1 -timeout 20m -run '$(RUN)' $(E2E),\
	LAB=require $(GO) test -json -count=1 -timeout 20m $(E2E) | $(GO) run ./tools/verdict -v "end-to-end tests")

test-matrix: ## every server replayed to every other, by every client and plugin
	@tools/setup test
	@LAB=require MATRIX=all $(GO) test -json -count=1 -timeout 30m ./e2e/matrix | $(GO) run ./tools/verdict -v "matrix"

soak: ## random commands from several clients for SOAK=10m
	@tools/setup test
	@LAB=require SOAK=$(SOAK) $(GO) test -tags soak -json -count=1 -timeout 3h -run '^TestSoak$$' ./e2e/commands | $(GO) run ./tools/verdict -v "soak"

simulate: ## the simulation of the core with fresh seeds for FRESH=1m
	@tools/setup build
	@$(GO) test -count=1 -v -timeout 2h -run 'TestSimulation$$' ./internal/simulation -fresh=$(FRESH)

churn: ## sessions that come and go for CHURN=30m: memory and goroutines must not grow
	@tools/setup test
	@LAB=require CHURN=$(CHURN) $(GO) test -tags soak -v -count=1 -timeout 30h -run '^TestChurn$$' ./e2e

adopt: ## sessions that were open before, used for ADOPT=2m rather than for a second
	@tools/setup test
	@LAB=require ADOPT=$(ADOPT) $(GO) test -v -count=1 -timeout 2h ./e2e/adopt

reliability: ## what faults and outages do to a load, into docs/reliability.md; or the lines that match RUN=
	@tools/setup test
	@LAB=require $(GO) test -tags reliability -v -count=1 -timeout 1h -run '^Test(Reliability|Outages)$$/$(RUN)' ./e2e/faults

race: ## the end-to-end tests with programs built with the race detector
	@tools/setup test
	@mkdir -p .lab/race
	@$(GO) build -race -o .lab/race/ $(PROGRAMS:%=./cmd/%) ./e2e/loadclient ./e2e/lightserver
	@MRTECOPY_BIN=$(CURDIR)/.lab/race $(MAKE) --no-print-directory e2e

check: ## gofmt, vet, staticcheck
	@tools/setup build
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted:"; echo "$$unformatted"; exit 1; fi
	@for script in $$(git ls-files -co --exclude-standard tools .ci internal/lab | xargs grep -lE '^#!.*(bash|sh)$$'); do bash -n $$script; done
	$(GO) vet ./...
	$(GO) vet -tags reliability,soak,bench ./e2e/...
	$(GO) tool staticcheck ./...

vulncheck: ## known vulnerabilities in what our code calls
	@tools/setup build
	@tools/vulncheck

# Go may report the end of the time itself as a failure; a finding names its input.
fuzz: ## every fuzz test for FUZZTIME=10s
	@tools/setup build
	@for package in $(UNIT); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "== $$package $$target"; \
			out=$$($(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$package 2>&1) || \
				{ grep -q '^ *context deadline exceeded' <<<"$$out" && ! grep -q 'Failing input' <<<"$$out"; } || \
				{ echo "$$out"; exit 1; }; \
			tail -n 1 <<<"$$out"; \
		done; \
	done

bench: ## the benchmarks of the pure core and the engines: time and allocations
	@tools/setup build
	$(GO) test -run '^$$' -bench . -benchmem $(UNIT)

# The benchmarks do what the programs spend their own time on; go build finds the
# profiles by their name.
pgo: ## the profiles that the programs are built by (profile-guided optimisation), made anew
	@tools/setup build
	$(GO) test -trimpath -run '^$$' -bench 'Command|Million|Session' -benchtime 3s -o /dev/null -cpuprofile $(CURDIR)/cmd/mrtecopy/default.pgo ./internal/replay
	$(GO) test -trimpath -run '^$$' -bench . -benchtime 3s -o /dev/null -cpuprofile $(CURDIR)/cmd/intercept/default.pgo ./internal/intercept

bench-lab: ## what a replay costs, into docs/performance.md; or the parts that match RUN=
	@tools/setup test
	@LAB=require $(GO) test -tags bench -v -count=1 -timeout 2h -run '$(or $(RUN),Test)' ./e2e/bench

clean: ## what was built; a lab's servers in .lab stay
	rm -rf bin .lab/race .lab/coverage
