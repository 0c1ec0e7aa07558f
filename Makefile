# Everything here sets itself up: a virtual environment in .venv with the pinned packages.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# processes that run the tests, each of one thread
JOBS ?= 2
READY := $(VENV)/.ready

.PHONY: help setup demo test test-all lint format render docs site clean

help: ## show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## virtual environment with the pinned packages

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v[:2] <= (3, 12) else f"Python 3.10, 3.11 or 3.12 is needed, this is {v[0]}.{v[1]}: make {sys.argv[1]} PYTHON=python3.11")' setup
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(READY)

demo: setup ## draw scenes and videos, run the shipped models of all nine tasks, evaluate, make a page
	$(RUN) -m bdd100k_models.cli demo --out demo_out

lint: setup ## format, lint and type checks
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

format: setup ## rewrite the sources in the house format
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

render: setup ## write the README tables from zoo/
	$(RUN) -m bdd100k_models.cli zoo render

docs: setup ## the reference of the Python package, in build/docs
	$(RUN) -m sphinx.ext.apidoc -q --force --module-first --no-toc --maxdepth 1 --output-dir build/reference bdd100k_models
	cp doc/reference/index.rst build/reference/
	$(RUN) -m sphinx --quiet --fail-on-warning --keep-going --conf-dir doc/reference build/reference build/docs

site: setup ## the site of all models, in build/site
	$(RUN) -m bdd100k_models.cli zoo site build/site --force

test: lint ## the checks that every change must pass
	$(RUN) -m bdd100k_models.cli zoo render --check
	$(RUN) -m pytest -n $(JOBS) --dist loadfile -m "not slow and not cuda"

test-all: lint ## the same and the slow ones
	$(RUN) -m pytest

clean: ## remove what was made
	rm -rf $(VENV) demo_out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
