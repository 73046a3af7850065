# Every task of the project, one line each: `make help` lists them.
# Needs only make and Python 3.11 or newer with venv. `make demo` and `make stack` install the exporter
# alone into .venv-demo, pinned by requirements.lock; everything else goes into .venv, pinned by
# requirements-dev.lock.

PYTHON ?= python3
ADDRESS ?= 127.0.0.1:10144
DEPLOY ?= deploy
ARGS ?=
BIN := .venv/bin
VENV := .venv/.installed
DEMO_VENV := .venv-demo
DEMO_BIN := $(DEMO_VENV)/bin
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "Python 3.11 or newer is required: make PYTHON=/path/to/python3.11"; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help demo stack test lint check test-newest test-wheel docs golden screenshot dashboard-pictures bench soak dist sbom mixin changelog lock clean

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

$(VENV): requirements-dev.lock pyproject.toml
	@$(CHECK_PYTHON)
	@echo "Installing all tools of development into .venv: once, a few minutes, about 400 MB ..."
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

# Another environment to start from, such as .venv: make demo DEMO_BIN=.venv/bin
$(DEMO_VENV)/bin/cometapi-exporter: requirements.lock pyproject.toml
	@$(CHECK_PYTHON)
	@scripts/demo-environment $(PYTHON) $(DEMO_VENV)

demo: $(DEMO_BIN)/cometapi-exporter ## serve simulated accounts (another address: ADDRESS=127.0.0.1:10145)
	@$(DEMO_BIN)/cometapi-exporter --demo --collect.interval=10s --web.listen-address=$(ADDRESS) \
		|| { code=$$?; echo "Another port: make demo ADDRESS=127.0.0.1:10145"; exit $$code; }

stack: $(DEMO_BIN)/cometapi-exporter ## the demo with a local Prometheus and Alertmanager (other ports: ARGS=--help)
	$(DEMO_BIN)/python scripts/stack.py --deploy=$(DEPLOY) $(ARGS)

test: $(VENV) ## run all tests (5 to 10 minutes on two cores)
	@echo "Running all tests: 5 to 10 minutes on two cores. Tests whose programs are missing are skipped and"
	@echo "listed at the end; scripts/install-test-tools installs the programs."
	$(BIN)/python -m pytest -n 2

lint: $(VENV) ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## what has to pass before a commit

docs: $(VENV) ## write the generated parts of the documents again
	$(BIN)/python scripts/generate_docs.py
	$(BIN)/python scripts/manual.py
	$(BIN)/python deploy/grafana/build.py
	$(BIN)/python deploy/prometheus/build.py
	$(BIN)/python deploy/kubernetes/generate.py
	$(BIN)/python deploy/helm/readme.py

golden: $(VENV) ## write the golden files again; look at the difference
	REFRESH_GOLDEN=1 $(BIN)/python -m pytest -q tests/unit/exposition/test_scrape.py

screenshot: $(VENV) ## take the pictures of the status page again
	$(BIN)/python scripts/screenshot.py

dashboard-pictures: $(VENV) ## take the pictures of the dashboards again (needs scripts/install-dashboard-tools)
	$(BIN)/python scripts/dashboard_pictures.py

bench: $(VENV) ## measure against other servers and write .bench/ (ARGS=--write: benchmarks/README.md)
	$(BIN)/python benchmarks/run.py $(ARGS)

soak: $(VENV) ## half an hour of faults, looking for leaks
	$(BIN)/python benchmarks/soak.py --minutes 30

dist: $(VENV) ## build wheel and sdist
	rm -rf dist
	$(BIN)/python -m build --no-isolation

test-newest: $(VENV) ## build the newest Prometheus, Alertmanager and VictoriaMetrics and test with them
	scripts/install-newest-tools
	PATH="$(CURDIR)/.newest/bin:$$PATH" $(BIN)/python -m pytest -n 2 tests/newest tests/rules tests/dashboards tests/e2e

test-wheel: ## build the wheel and run the tests against it, installed
	scripts/test-wheel $(PYTHON)

sbom: $(VENV) ## write the bill of materials (CycloneDX) of what users install
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible -o dist/sbom.cdx.json

mixin: $(VENV) ## zip the rules and dashboards for people who run the exporter elsewhere
	mkdir -p dist
	$(BIN)/python -m zipfile -c dist/cometapi-exporter-mixin.zip deploy/prometheus/rules deploy/grafana/dashboards deploy/alertmanager

changelog: $(VENV) ## gather the fragments of changelog.d into CHANGELOG.md
	$(BIN)/towncrier build --yes

lock: $(VENV) ## pin the dependencies again, with hashes and without addresses
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove what the tasks made
	rm -rf .venv .venv-demo .stack .bench dist build .mypy_cache .ruff_cache .hypothesis
