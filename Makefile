# `make` sets up and runs the pipeline; `make test` sets up and runs the tests. Needs python3 ≥ 3.11, git and make.
PYTHON ?= python3
UV = uv==0.13.9
VENV = .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
# Where Python is told not to keep what it compiled, each of its starts takes twice as long: it may, here.
export PYTHONDONTWRITEBYTECODE :=

OFFLINE = .autoencoder/no-mirror
BANNER = ======================================================================

.PHONY: run digits setup test check ui bench lock deps

run: setup
	@autoencoder check
	@rm -f $(OFFLINE)
	@dvc repro || { test -e $(OFFLINE) && $(MAKE) --no-print-directory digits; }
	@echo "The page that explains this run: file://$(CURDIR)/report.html"

digits: setup
	@printf '%s\n' "" "$(BANNER)" "No mirror could be reached (see the error above): NOT running on the data set of params.yaml." \
	  "Running the same pipeline on scikit-learn's bundled digits instead." "$(BANNER)" ""
	dvc exp run -S data.name=digits
	@printf '%s\n' "" "$(BANNER)" "What was run: the pipeline on DIGITS (1,797 images of 8 x 8), because no mirror could be reached." \
	  "To run the default when you are online: git checkout params.yaml dvc.lock && make" "$(BANNER)"

setup: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"expected python3 >= 3.11, found {sys.version.split()[0]}; set PYTHON=…")'
	test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	uv pip install --quiet --require-hashes -r requirements.lock
	uv pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

test: setup
	pytest

check: setup
	ruff format --check && ruff check && mypy

ui: setup
	@autoencoder ui $(if $(filter command%,$(origin HOST)),--host $(HOST)) $(if $(filter command%,$(origin PORT)),--port $(PORT))

bench: setup
	dvc repro train
	uv pip install --quiet "jax>=0.10" || echo "jax could not be installed: it is left out of the comparison"
	python benchmarks

lock: setup
	uv pip compile --quiet pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url -o requirements.lock

deps: setup
	python tests/dependencies.py
