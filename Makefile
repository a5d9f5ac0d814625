# One command per intent. Each sets itself up; all that is needed is Python 3.11+, pip and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
UV := $(BIN)/uv
# An environment without PyTorch: the base dependencies, and the wheel.
SMALL := .venv-small
SMALL_READY := $(SMALL)/.ready
# An environment that holds nothing but the wheel of `make dist` and its dependencies.
EMPTY := .venv-dist
SMALL_WHEEL := $(SMALL)/wheel/.installed
PACKED := pyproject.toml README.md LICENSE $(shell find src recipes -name __pycache__ -prune -o -print)

# On a machine with a GPU and no network, whatever Python has PyTorch there.
GPU_PYTHON := $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))

.PHONY: demo small test test-slow lint fix bench gpu docs docs-live dist lock clean

demo: $(READY)  ## train, score and explain a captioner on the built-in scenes
	$(BIN)/cutline demo

small: $(SMALL_WHEEL)  ## the wheel, installed where there is no PyTorch

test: lint small  ## lint, types, architecture, then the tests; ARGS="tests/search -k beam" chooses
	$(BIN)/pytest -n 2 --dist worksteal $(ARGS)

test-slow: $(READY)  ## the tests that take minutes
	$(BIN)/pytest -n 0 -m slow

lint: $(READY)  ## style, types and architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(READY)  ## format, and mend what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## ratios, measured side by side in one run
	$(BIN)/python -m benchmarks

gpu:  ## check a GPU against the CPU and measure it; sets nothing up
	PYTHONPATH=src $(GPU_PYTHON) -m benchmarks.gpu

docs: $(READY)  ## the documentation, links checked, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-live: $(READY)  ## the documentation on http://127.0.0.1:8000, built again at each change
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --livereload

dist: $(READY)  ## sdist and wheel into dist/, checked, and run in an empty environment
	rm -rf dist $(EMPTY)
	$(UV) build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist
	$(BIN)/python tools/dist.py dist
	$(PYTHON) -m venv --without-pip $(EMPTY)
	$(UV) pip install --quiet --python $(EMPTY)/bin/python --constraints requirements.lock dist/*.whl
	cd dist && ../$(EMPTY)/bin/cutline models

lock: $(READY)  ## pin every dependency again, without index addresses
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	    --no-emit-index-url --no-header --no-annotate --output-file requirements.lock --upgrade

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv --without-pip .venv
	$(PYTHON) -m pip --python $(BIN)/python install --quiet "uv>=0.5"
	$(UV) pip install --quiet --python $(BIN)/python -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

$(SMALL_READY): requirements.lock pyproject.toml | $(READY)
	$(PYTHON) -m venv --clear --without-pip $(SMALL)
	$(UV) pip install --quiet --python $(SMALL)/bin/python --compile-bytecode \
	    --constraints requirements.lock -r pyproject.toml
	touch $@

$(SMALL_WHEEL): $(SMALL_READY) $(PACKED)
	rm -rf $(@D)
	$(UV) build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir $(@D)
	$(UV) pip install --quiet --python $(SMALL)/bin/python --compile-bytecode \
	    --no-deps --reinstall $(@D)/*.whl
	touch $@

clean:
	rm -rf .venv $(SMALL) $(EMPTY) site build dist
