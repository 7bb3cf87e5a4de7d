# `make demo` and `make test` need only python3 (3.11 or newer) and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# An editable install in strict mode knows only the files there were: reinstall when one comes or goes.
FILES := $(sort $(wildcard *.py */*.py */*.toml audit/*/* curate/*/* data/*/*.py data/*/*.toml)) pyproject.toml
LIST := $(VENV)/.files
# What setuptools says about its own future helps nobody who runs make.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check install --quiet
MEASURES := $(BIN)/python -c "from evenset.audit.measures import measures_markdown as made; print(made(), end='')"
EDITABLE := --config-settings editable_mode=strict -e

.PHONY: demo test slow quick lint bench docs docs-check install clean FORCE

demo: $(VENV)/.demo
	$(BIN)/evenset demo --out demo --overwrite

# A worker gets a run of neighbouring tests, so that few fixtures of a module are made twice, and helps out at the end.
test: $(VENV)/.all
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" --doctest-modules --pyargs tests evenset.audit evenset.curate evenset.data evenset.finetune

# What takes more than some seconds each; CI runs these too.
slow: $(VENV)/.all
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow tests

quick: $(VENV)/.all
	$(BIN)/python -m pytest -m "not slow and not real" -x

lint: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p evenset

bench: $(VENV)/.all
	$(BIN)/python benchmarks/counting.py --mb 128
	$(BIN)/python benchmarks/intervals.py
	$(BIN)/python benchmarks/scaling.py --mb 10 100 300

# docs/measures.md is made from the table of measures; docs-check fails when the two differ, looks up what all documents
# mention and runs their blocks.
docs: $(VENV)/.all
	$(MEASURES) > docs/measures.md

docs-check: $(VENV)/.all
	$(MEASURES) | diff - docs/measures.md
	$(BIN)/python docs/check_mentions.py
	$(BIN)/python docs/run_examples.py

install: $(VENV)/.all

$(VENV)/pyvenv.cfg:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "evenset needs Python 3.11 or newer; set PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip setuptools wheel

# Rewritten only when the list of files changes, so that make reinstalls exactly then.
$(LIST): FORCE | $(VENV)/pyvenv.cfg
	@echo "$(FILES)" | cmp -s - $@ || echo "$(FILES)" > $@

$(VENV)/.demo: $(LIST) pyproject.toml constraints.txt
	@if [ -e $(VENV)/.all ]; then $(PIP) --no-deps --no-build-isolation $(EDITABLE) .; \
	else $(PIP) -c constraints.txt $(EDITABLE) ".[vectors,grammar]"; fi
	@touch $@

$(VENV)/.all: $(LIST) pyproject.toml constraints.txt
	$(PIP) -c constraints.txt $(EDITABLE) ".[all]"
	@touch $@

clean:
	rm -rf $(VENV) build demo out *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
