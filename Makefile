# `make` sets up and runs the pipeline; `make test` sets up and runs the tests. Needs python3 ≥ 3.11, git and make.
PYTHON ?= python3
UV = uv==0.13.9
VENV = .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

.PHONY: run setup test check ui lock

run: setup
	dvc repro

setup: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"expected python3 >= 3.11, found {sys.version.split()[0]}; set PYTHON=…")'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	uv pip install --quiet --require-hashes -r requirements.lock
	uv pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

test: setup
	pytest

check: setup
	ruff format --check && ruff check && mypy

ui: setup
	mlflow ui --host 127.0.0.1 --backend-store-uri sqlite:///mlflow.db

lock: setup
	uv pip compile --quiet pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url -o requirements.lock
