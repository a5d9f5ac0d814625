# One command per intent. Each sets itself up; all that is needed is Python 3.11+, pip and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test test-slow lint bench docs lock clean

demo: $(READY)  ## train, score and explain a captioner on the built-in scenes
	$(BIN)/cutline demo

test: lint  ## lint, types, architecture, then the tests
	$(BIN)/pytest -n 2

test-slow: $(READY)  ## the tests that take minutes
	$(BIN)/pytest -n 0 -m slow

lint: $(READY)  ## style, types and architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## ratios, measured side by side in one run
	$(BIN)/python -m benchmarks

docs: $(READY)  ## the documentation, links checked, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lock: $(READY)  ## pin every dependency again, without index addresses
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	    --no-emit-index-url --no-header --no-annotate --output-file requirements.lock --upgrade

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv --without-pip .venv
	$(PYTHON) -m pip --python $(BIN)/python install --quiet "uv>=0.5"
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

clean:
	rm -rf .venv site build dist
