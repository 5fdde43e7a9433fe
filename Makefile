# Every target that needs the environment makes it first; the stamp files say what is installed already.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo up test test-fast lint fix audit bench chaos doctor compile clean

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
MINUTES ?= 2
SEED ?= 1
ARGS ?=

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.run ## Show a synthetic shop's stream live; needs nothing but Python
	@$(BIN)/storepulse demo $(ARGS)

up: $(VENV)/.run ## Run broker, Redis, worker and API; ARGS="--broker kafka --workers 2" for the real thing
	@$(BIN)/storepulse up $(ARGS)

doctor: $(VENV)/.run ## Check this machine and say what to do
	@$(BIN)/storepulse doctor $(ARGS)

PYTEST = REQUIRE_SERVICES=1 STOREPULSE_DATA="$(or $(DATA),$(STOREPULSE_DATA))" $(BIN)/python -m pytest

# Files with slow tests first, see tests/conftest.py.
BY_FILE := --dist loadfile --no-loadscope-reorder

# Most tests wait for something, so four processes run them on two cores, and two those that kill things. A failure
# of the first does not keep the second from being seen. What failed runs once more by itself: on a busy machine a
# test of real services can run out of patience, and one that passes then is named as flaky.
test: $(VENV)/.test ## Run every test on real Kafka and Redis; DATA=FOLDER adds the public data sets
ifdef ARGS
	$(PYTEST) $(ARGS)
else
	@$(PYTEST) --numprocesses 4 $(BY_FILE) --ignore tests/faults; others=$$?; \
	$(PYTEST) --numprocesses 2 $(BY_FILE) tests/faults; faults=$$?; \
	if ((others > 1 || faults > 1)); then exit 1; elif ((others || faults)); then \
	echo "== What failed runs once more, one test at a time. Those that pass now are FLAKY: find out why."; \
	$(PYTEST) --last-failed --last-failed-no-failures none --numprocesses 0 --verbose; fi
endif

test-fast: $(VENV)/.test ## Run the tests that need no services and no patience: under a minute
	$(BIN)/python -m pytest --fast --numprocesses 2 -rfE $(ARGS)

lint: $(VENV)/.test ## Check style and types; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(VENV)/.test ## Format, and mend what can be mended mechanically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

audit: ## Look for known vulnerabilities of what is installed, and for secrets in the repository
	@PYTHON="$(PYTHON)" .ci/audit

bench: .venv-bench/.bench ## Measure speed, delay and memory beside other engines
	@.venv-bench/bin/python -m benchmarks $(ARGS)

chaos: $(VENV)/.run ## Kill things at random and count; MINUTES=2 SEED=1
	@$(BIN)/storepulse chaos --minutes $(MINUTES) --seed $(SEED) $(ARGS)

compile: | $(BIN)/python ## Build the stream's compiled steps again from the sources that are here
	@$(PIP) --no-deps -e . || { $(SAY_COMPILED); exit 1; }
	@$(SAY_COMPILED)

clean: ## Remove the environment, caches and the stack's state
	rm -rf $(VENV) .venv-bench .venv-audit .storepulse .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info stream/compiled/*.so models/recommendation/compiled/*.so

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found; name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "making the environment in $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { echo "python -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

# Removes compiled modules that do not fit the sources, so that no worker meets them, and says what workers take.
SAY_COMPILED = $(BIN)/python -m stream.compiled

# What the compiled steps are built from, see stream/compiled/layout.py.
COMPILED := setup.py stream/compiled/layout.py $(wildcard stream/compiled/*.pyx stream/compiled/*.pxd stream/compiled/*.h) \
	$(wildcard models/recommendation/compiled/*.pyx) stream/batch/entries.py stream/components/items.py stream/scoring/item_pool.py $(addprefix contracts/,carts.py customers.py event_ids.py event_versions.py events.py fields.py numbers.py order_fields.py order_lines.py order_reports.py predictions.py record_keys.py scores.py sessions.py visitor.py visitor_alerts.py) \
	$(addprefix models/next_action/,context.py features.py fold.py prices.py item_counts.py rates.py)

$(VENV)/.run: pyproject.toml constraints.txt $(COMPILED) | $(BIN)/python
	@echo "installing"
	@$(PIP) -e '.[local,replay]'
	@$(SAY_COMPILED) || true
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt $(COMPILED) | $(BIN)/python
	@echo "installing, with what the tests need; torch is large"
	@$(PIP) -e '.[test,train,mlflow]'
	@$(SAY_COMPILED) || true
	@touch $(VENV)/.run $@

# An environment of its own, without constraints.txt: the engines compared with want older libraries.
.venv-bench/.bench: pyproject.toml $(COMPILED)
	@$(PYTHON) -m venv .venv-bench
	@echo "installing, with the engines to compare with; torch is large"
	@.venv-bench/bin/python -m pip --disable-pip-version-check install --quiet -e '.[bench]'
	@touch $@
