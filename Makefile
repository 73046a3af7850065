# Every task of the project, one line each: `make help` lists them.
# Needs only make and Python 3.11 or newer; everything else goes into .venv, pinned by requirements-dev.lock.

PYTHON ?= python3
BIN := .venv/bin
VENV := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check lint lock clean

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

demo: $(VENV) ## serve a simulated account on http://127.0.0.1:10144
	$(BIN)/cometapi-exporter --demo --collect.interval=10s --web.listen-address=127.0.0.1:10144

test: $(VENV) ## run every test
	$(BIN)/python -m pytest -n 2

lint: $(VENV) ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## what has to pass before a commit

lock: ## pin the dependencies again, with hashes and without addresses
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove what the tasks made
	rm -rf .venv .stack dist build .mypy_cache .ruff_cache .hypothesis
