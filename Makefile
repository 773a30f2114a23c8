# `make demo` trains and writes; `make test` checks everything. Both build the environment first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test lint quick slow env clean

# Steps of the demo's training; CI shortens it.
DEMO_STEPS ?=
DEMO_RUNS  := $(shell mktemp -u -d $${TMPDIR:-/tmp}/lm-demo.XXXXXX)

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	LM_RUNS=$(DEMO_RUNS) $(BIN)/lm train --preset quick --run demo $(if $(DEMO_STEPS),--max-steps $(DEMO_STEPS))
	LM_RUNS=$(DEMO_RUNS) $(BIN)/lm generate "A function is" --run demo --max-new-tokens 80
	@echo "The run is in $(DEMO_RUNS)/demo; see it with: LM_RUNS=$(DEMO_RUNS) $(BIN)/lm tui"

test: lint quick slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

quick: $(STAMP)
	$(BIN)/python -m pytest -m "not slow"

slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
