# Sets up what is needed in .venv, and runs it there. Needs Python 3.11 or later with venv, git and make.
#
#   make demo           install lmeec, then predict, score and draw two synthetic takes
#   make test           install what the tests need too, a browser included, then run them
#   make fuzz           give every reader FUZZ hostile files in all, from where the last time stopped
#   make lint           check style, types and the arrows between rooms
#   make docs           build the pages of docs/ into site/
#   make dist           build wheel and source distribution, and check them
#   make check-wheel    run the demo with the wheel in an empty environment
#   make check-docker   lint the Dockerfile, and run its pip lines in an empty environment
#   make install        install lmeec only
#   make install-dev    install lmeec with all that its tests and checks need
#
# TORCH names the torch to install, for a GPU for instance; one that is in .venv already is kept.

VENV ?= .venv
TORCH ?= torch==2.13.0 torchvision==0.28.0
DEMO ?= demo
FUZZ ?= 50000
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,\
	$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))

BIN ?= $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CONSTRAINTS := $(VENV)/torch-constraints.txt
INSTALLED := $(VENV)/.lmeec-installed
DEV_INSTALLED := $(VENV)/.lmeec-dev-installed
DOCS_INSTALLED := $(VENV)/.lmeec-docs-installed
BROWSERS := $(CHROMIUM) chromium chromium-browser google-chrome chrome

.PHONY: demo demo-commands test fuzz lint docs dist check-wheel check-docker install install-dev browser

demo: install
	@$(MAKE) --no-print-directory demo-commands

# What `make demo` shows, with the lmeec that BIN holds.
demo-commands:
	@echo "== Rendering two synthetic takes"
	@$(BIN)/lmeec synth $(DEMO)/takes --takes 2 --seconds 8 --exo-cameras 2 --size 336 --overwrite
	@echo "== Predicting both directions"
	@$(BIN)/lmeec predict $(DEMO)/takes --out $(DEMO)/results.parquet --refine colours --overwrite
	@echo "== Scoring"
	@$(BIN)/lmeec score $(DEMO)/results.parquet
	@echo "== Drawing pictures of all views"
	@$(BIN)/lmeec render $(DEMO)/results.parquet $(DEMO)/takes --out $(DEMO)/pictures --mosaic --stills 1 > /dev/null
	@$(BIN)/python examples/best_and_typical.py $(DEMO)/results.parquet $(DEMO)/pictures
	@echo "The takes are in $(DEMO)/takes, the results in $(DEMO)/results.parquet, the pictures in $(DEMO)/pictures."

test: browser install-dev
	@$(BIN)/python -m pytest

# What was tried and found is in the folder fuzz; it may be stopped at any time. CONTRIBUTING.md says more.
fuzz: install-dev
	@$(BIN)/python -m tests.fuzz --state fuzz --inputs $(FUZZ)

lint: install-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy lmeec lmeec_cli
	@$(BIN)/lint-imports --no-logo

# Warnings are errors: a link or a name that leads nowhere ends the build.
docs: $(DOCS_INSTALLED)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --clean --quiet
	@echo "The pages are in site; open site/index.html"

# From the source distribution, so that both are known to be whole.
dist: install-dev
	@rm -rf build dist
	@$(BIN)/python -m build --no-isolation --outdir dist > dist.log 2>&1 || { cat dist.log >&2; exit 1; }
	@rm -f dist.log
	@$(BIN)/twine check --strict dist/*

# In an environment of its own: what lies in the checkout, or was installed for the tests, cannot help.
check-wheel: dist
	@rm -rf build/wheel && $(BIN)/python -m venv build/wheel/venv
	@echo "== Installing the wheel into an empty environment"
	@build/wheel/venv/bin/python -m pip --disable-pip-version-check install --quiet 'setuptools>=77' wheel $(TORCH)
	@SAM2_BUILD_CUDA=0 build/wheel/venv/bin/python -m pip --disable-pip-version-check install --quiet \
		--no-build-isolation dist/*.whl
	@$(MAKE) --no-print-directory demo-commands BIN=build/wheel/venv/bin DEMO=build/wheel/demo
	@test -n "$$(ls build/wheel/demo/pictures)" && rm -rf build/wheel

# No build: the base image is this machine's Python, and torch comes from the index that pip is set up for.
check-docker: install-dev
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/python -m tests.support.dockerfile build/docker && rm -rf build/docker

install: $(INSTALLED)

install-dev: $(DEV_INSTALLED)

# The report and the videos are tested in a browser. Told before anything is installed or run.
browser:
	@for name in $(BROWSERS); do ! command -v $$name > /dev/null || exit 0; done; \
	if command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing chromium, in which the report and the videos are tested"; \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium > /dev/null; \
	else \
		echo "The tests need a browser, and there is none of: $(strip $(BROWSERS))." >&2; \
		echo "Install one (Debian: sudo apt-get install chromium), or name it: make test CHROMIUM=/path/to/chromium" >&2; \
		exit 1; \
	fi

# sam2 is built from source against the torch that is installed: in an isolated build it would download another one.
# The constraints keep that torch where the newest torchvision would replace it.
$(CONSTRAINTS):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; name one with make PYTHON=" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "Installing into $(VENV), which takes a minute or more the first time"
	@$(PIP) install --quiet 'setuptools>=77' wheel
	@$(BIN)/python -c 'import torch' 2>/dev/null || $(PIP) install --quiet $(TORCH)
	@$(PIP) list --format=freeze | grep -E '^torch(vision)?==' > $(CONSTRAINTS)

$(INSTALLED): pyproject.toml | $(CONSTRAINTS)
	@SAM2_BUILD_CUDA=0 $(PIP) install --quiet --no-build-isolation --constraint $(CONSTRAINTS) --editable .
	@touch $@

$(DEV_INSTALLED): pyproject.toml | $(CONSTRAINTS)
	@SAM2_BUILD_CUDA=0 $(PIP) install --quiet --no-build-isolation --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $@ $(INSTALLED)

$(DOCS_INSTALLED): pyproject.toml | $(CONSTRAINTS)
	@SAM2_BUILD_CUDA=0 $(PIP) install --quiet --no-build-isolation --constraint $(CONSTRAINTS) --editable '.[docs]'
	@touch $@ $(INSTALLED)
