# Sets up everything in .venv, and runs lmeec there. Needs Python 3.11 or later, git and make.
#
#   make demo      install, then predict, score and draw two synthetic takes
#   make test      install, then run the tests
#   make lint      check style
#   make install   install only
#
# TORCH names the torch to install, for a GPU for instance; one that is in .venv already is kept.

VENV ?= .venv
TORCH ?= torch==2.13.0 torchvision==0.28.0
DEMO ?= demo
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,\
	$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.lmeec-installed
CONSTRAINTS := $(VENV)/torch-constraints.txt

.PHONY: demo test lint install

demo: install
	@echo "== Rendering two synthetic takes"
	@$(BIN)/lmeec synth $(DEMO)/takes --takes 2 --seconds 8 --exo-cameras 2 --size 336 --overwrite
	@echo "== Predicting both directions"
	@$(BIN)/lmeec predict $(DEMO)/takes --out $(DEMO)/results.parquet --overwrite
	@echo "== Scoring"
	@$(BIN)/lmeec score $(DEMO)/results.parquet
	@echo "== Drawing pictures of all views"
	@$(BIN)/lmeec render $(DEMO)/results.parquet $(DEMO)/takes --out $(DEMO)/pictures --mosaic --stills 1 > /dev/null
	@echo "The takes are in $(DEMO)/takes, the results in $(DEMO)/results.parquet, the pictures in $(DEMO)/pictures."

test: install
	@$(BIN)/python -m pytest

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

install: $(INSTALLED)

# sam2 is built from source against the torch that is installed: in an isolated build it would download another one.
# The constraints keep that torch where the newest torchvision would replace it.
$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; name one with PYTHON=" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV), which takes some minutes the first time"
	@$(PIP) install --quiet 'setuptools>=77' wheel
	@$(BIN)/python -c 'import torch' 2>/dev/null || $(PIP) install --quiet $(TORCH)
	@$(PIP) list --format=freeze | grep -E '^torch(vision)?==' > $(CONSTRAINTS)
	@SAM2_BUILD_CUDA=0 $(PIP) install --quiet --no-build-isolation --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $@
