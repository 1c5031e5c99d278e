# `make` lists the targets. Linux, macOS, and Windows in Git Bash.
# Each makes the virtual environment .venv where it is missing or no longer fits, and is instant otherwise.

ifeq ($(OS),Windows_NT)
SHELL := bash
PYTHON ?= python
BIN := .venv/Scripts
EXE := .exe
else
PYTHON ?= python3
BIN := .venv/bin
EXE :=
endif

PY := $(BIN)/python$(EXE)
HEARTH := $(BIN)/hearth$(EXE)
PYBABEL := $(BIN)/pybabel$(EXE) --quiet
TRANSLATIONS := resources/translations
REQUIREMENTS := packaging/requirements
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check
TRAINING_PY := $(subst .venv,.venv-train,$(PY))
PEER_PY := $(subst .venv,.venv-peer,$(PY))
PEER_SERVER := $(dir $(PEER_PY))llama-server$(EXE)
STARTER := build/starter
# Each file of tests in one of two processes, begun in the order in which they stand.
TWO_AT_A_TIME := -n 2 --dist loadfile --no-loadscope-reorder
ARGS ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help run chat test lint translations starter bench bench-peer screenshots clean lock wheels qt-libraries

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.desktop .venv/.program  ## start Hearth: its window, or the terminal chat where there is no display
	@if [ "$(OS)" = Windows_NT ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY$$QT_QPA_PLATFORM" ]; then \
		sh packaging/system_packages.sh qt .venv; fi
	@$(HEARTH) $(ARGS)

chat: .venv/.desktop .venv/.program  ## chat in the terminal
	@$(HEARTH) chat $(ARGS)

test: .venv/.dev .venv/.program qt-libraries  ## all tests; make test ARGS="-k stop" for some of them
	$(PY) -m pytest $(TWO_AT_A_TIME) $(ARGS)

lint: .venv/.dev .venv/.program  ## style, types, who imports whom
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(BIN)/lint-imports$(EXE)

# The options keep dates, places and line breaks out of the catalogues, so that a change shows only what it changes.
translations: .venv/.dev  ## bring the translations up to date with the texts in the code
	@mkdir -p build
	$(PYBABEL) extract --no-location -k tr -k mark -k ntr:1,2 -o build/hearth.pot app/hearth
	$(PYBABEL) update --ignore-pot-creation-date --no-wrap --ignore-obsolete --previous \
		-D hearth -i build/hearth.pot -d $(TRANSLATIONS)
	$(PYBABEL) compile -D hearth -d $(TRANSLATIONS)

starter: .venv/.dev .venv/.program .venv-train/.made  ## train the starter model anew, export, score and publish it (an hour)
	$(PY) packaging/starter/lessons.py $(STARTER)/lessons.json
	$(TRAINING_PY) packaging/starter/train.py $(STARTER)/lessons.json $(STARTER)/checkpoint
	$(TRAINING_PY) packaging/starter/export.py $(STARTER)/checkpoint $(STARTER)/model $(STARTER)/golden.json
	$(PY) packaging/starter/evaluate.py $(STARTER)/model --out $(STARTER)/scores.json
	$(PY) packaging/starter/publish.py $(STARTER)

bench: .venv/.dev .venv/.program  ## measure speed and memory on this machine
	$(PY) tests/benchmarks/run.py $(ARGS)

bench-peer: .venv-peer/.made $(PEER_SERVER)  ## compile llama.cpp and its server for this machine, to measure beside Hearth

screenshots: .venv/.dev .venv/.program qt-libraries  ## pictures of the window, in screenshots/
	$(PY) tests/ui/screenshots/run.py $(ARGS)

clean:  ## remove .venv and everything else that was made
	rm -rf .venv .venv-train .venv-peer build dist screenshots .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find app tests packaging -name __pycache__ -prune -exec rm -rf {} +

# Not listed: what the targets above stand on, and what a maintainer needs now and then.

lock: .venv/.python
	$(PIP_INSTALL) --require-hashes -r $(REQUIREMENTS)/lock.txt
	$(PY) packaging/lock_requirements.py $(ARGS)

wheels: .venv/.dev
	$(PIP_INSTALL) --require-hashes -r $(REQUIREMENTS)/lock.txt
	$(PY) packaging/wheels.py $(ARGS)

qt-libraries: .venv/.dev
	@sh packaging/system_packages.sh qt .venv

.venv/.python:
	@if ! $(PY) -m pip --version >/dev/null 2>&1; then \
		sh packaging/system_packages.sh python "$(PYTHON)" \
		&& echo "hearth: making the virtual environment .venv (once; it takes a minute or two)" \
		&& rm -rf .venv && "$(PYTHON)" -m venv .venv; fi
	@touch $@

.venv/.desktop: $(REQUIREMENTS)/desktop.txt $(REQUIREMENTS)/build.txt | .venv/.python
	@$(PIP_INSTALL) --require-hashes -r $(REQUIREMENTS)/desktop.txt -r $(REQUIREMENTS)/build.txt
	@touch $@

.venv/.dev: $(REQUIREMENTS)/dev.txt | .venv/.python
	@$(PIP_INSTALL) --require-hashes -r $(REQUIREMENTS)/dev.txt
	@touch $@ .venv/.desktop

# An editable install: .venv/bin/hearth runs what lies in app/.
.venv/.program: pyproject.toml | .venv/.python
	@$(PIP_INSTALL) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

# torch is not in train.txt: see pyproject.toml. Any build of this version will do; training uses the processor.
.venv-train/.made: $(REQUIREMENTS)/train.txt | .venv/.python
	rm -rf .venv-train && "$(PYTHON)" -m venv .venv-train
	$(TRAINING_PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(REQUIREMENTS)/train.txt
	$(TRAINING_PY) -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@touch $@

# Compiled here, since a wheel for every processor would be slower than llama.cpp can be. Needs cmake and a C++ compiler.
.venv-peer/.made: $(REQUIREMENTS)/peer.txt | .venv/.python
	rm -rf .venv-peer && "$(PYTHON)" -m venv .venv-peer
	flags=$$(sh packaging/peer/compiler_flags.sh); CFLAGS="$$flags" CXXFLAGS="$$flags" CMAKE_ARGS="-DGGML_NATIVE=ON" \
		$(PEER_PY) -m pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes \
		--no-binary llama-cpp-python -r $(REQUIREMENTS)/peer.txt
	@touch $@

$(PEER_SERVER): packaging/peer/build_server.py .venv-peer/.made
	flags=$$(sh packaging/peer/compiler_flags.sh); CFLAGS="$$flags" CXXFLAGS="$$flags" \
		$(PEER_PY) packaging/peer/build_server.py $(REQUIREMENTS)/peer.txt $@
