# One command for each thing. `make` alone lists them; each does all the set-up that it needs.
#
# PYTHON=python3.12   the interpreter to set up with (otherwise the first of 3.11 to 3.13 found)
# ARGS="-k put -x"    handed to pytest, or to the benchmarks
# N=1000 SEED=7       how long `make torture` goes on, and what its chance begins with

.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
N ?= 1000
SEED ?= 7
# Many tests wait for servers: more of them than there are processors.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((n < 4 ? n + 1 : n)))

# DVC runs `trunkline exec` by name, so the environment's programs must be found by name.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: help setup run one-more-day course test test-all check format reproduce-all torture bench docs lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: ## the environment in .venv, as requirements.lock pins it
	@sh tools/setup.sh $(VENV)

run: setup ## the reference pipeline on real data: source datasets, run, metrics, lineage
	@$(BIN)/python -m demo run

one-more-day: setup ## put one more day of flights and run again: one datum each, the rest reused
	@$(BIN)/python -m demo one-more-day

course: setup ## the pipelines of the course: their data, run, metrics; ARGS="iris vision" for some of them
	@$(BIN)/python -m demo course $(ARGS)

test: setup ## all tests, under the environment's Python
	@$(BIN)/python -m compileall -q src/trunkline # once, not in each of two thousand processes
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-all: setup ## all tests under Python 3.11, 3.12 and 3.13
	@WHOLE=1 sh tools/test-all.sh $(ARGS)

check: setup ## ruff, mypy, the import contracts, and whether dvc.yaml is up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/trunkline compile --check

format: setup ## rewrite the source as ruff formats it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reproduce-all: setup ## make every recorded run again, and say how many come out bit for bit
	@$(BIN)/trunkline reproduce --all $(ARGS)

torture: setup ## kill trunkline N times, at every point and at any moment, and see what holds
	@$(BIN)/python -m tests.torture --n $(N) --seed $(SEED) $(ARGS)

bench: setup ## the performance budgets, each beside what it is measured against
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m bench $(ARGS)

docs: setup ## docs/cli.md from the commands' own help, then the checks of all pages
	@$(BIN)/python tools/cli_reference.py docs/cli.md
	@$(BIN)/python -m pytest tests/test_repository.py tests/tools $(ARGS)

lock: ## requirements.lock from pyproject.toml; UPGRADE=1 takes newer versions
	@sh tools/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove caches and build output; environments, data and runs stay
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find src tests tools stages demo bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
