# `make` sets up and runs the pipeline; `make test` sets up and runs the tests. Needs python3 ≥ 3.11, git and make.
PYTHON ?= python3
UV = uv==0.13.9
VENV = .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
# Where Python is told not to keep what it compiled, each of its starts takes twice as long: it may, here.
export PYTHONDONTWRITEBYTECODE :=
# Another package named autoencoder may lie there.
unexport PYTHONPATH

OFFLINE = .autoencoder/no-mirror
BANNER = ======================================================================

.PHONY: run digits setup test check ui bench lock deps

run: setup
	@autoencoder check
	@rm -f $(OFFLINE)
	@dvc repro || { test -e $(OFFLINE) && $(MAKE) --no-print-directory digits; }
	@python -c 'from pathlib import Path; print("The page that explains this run:", Path("report.html").absolute().as_uri())'

digits: setup
	@printf '%s\n' "" "$(BANNER)" "No mirror could be reached (see the error above): NOT running on the data set of params.yaml." \
	  "Running the same pipeline on scikit-learn's bundled digits instead." "$(BANNER)" ""
	dvc exp run -S data.name=digits
	@printf '%s\n' "" "$(BANNER)" "What was run: the pipeline on DIGITS (1,797 images of 8 x 8), because no mirror could be reached." \
	  "To run the default when you are online: git checkout params.yaml dvc.lock && make" "$(BANNER)"

# The environment is in the folder that it was made in: the scripts of a moved or copied one name the old folder.
HERE = import os; made = "$(VENV)/folder"; assert not os.path.exists(made) or open(made).read() == ascii(os.getcwd())
# What requirements.lock pins for every platform is there. Else the Python was upgraded or removed, or a package was.
WHOLE = $(HERE); import re; from importlib.metadata import version; \
  pins = re.findall(r"^([\w.-]+)==(\S+) \\$$", open("requirements.lock").read(), re.M); \
  exit(any(version(name).partition("+")[0] != pin.partition("+")[0] for name, pin in [*pins, ("autoencoder", version("autoencoder"))]))

# A folder whose name MLflow cannot take is refused before the environment is made.
PLACE = import sys; sys.excepthook = lambda kind, error, trace: print(f"Error: {error}", file=sys.stderr); \
  from autoencoder.tracking.server import uri; uri()

setup:
	@$(VENV)/bin/python -c '$(WHOLE)' 2>/dev/null || rm -f $(VENV)/installed
	@$(MAKE) --silent --no-print-directory $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"expected python3 >= 3.11, found {sys.version.split()[0]}; set PYTHON=…")'
	@PYTHONPATH=src $(PYTHON) -c '$(PLACE)'
	echo "Setting up $(VENV), which takes minutes"
	{ $(VENV)/bin/python -c '$(HERE)' && $(VENV)/bin/python -m pip --version; } >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -c 'import os; open("$(VENV)/folder", "w").write(ascii(os.getcwd()))'
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
	dvc repro download
	uv pip install --quiet "jax>=0.10" || echo "jax could not be installed: it is left out of the comparison"
	python benchmarks

lock: setup
	uv pip compile --quiet pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url -o requirements.lock
	uv pip compile --quiet pyproject.toml --extra dev --extra s3 --universal --generate-hashes --no-emit-index-url -o requirements-s3.lock
	uv pip compile --quiet pyproject.toml --extra dev --extra s3 --extra sweep --universal --generate-hashes --no-emit-index-url -o requirements-sweep.lock

deps: setup
	python tests/dependencies.py
