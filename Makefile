# Kinemask: `make reproduce` and `make test` are all a fresh machine needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PORT ?= 5000

# No tool that we start reports its use to anyone.
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := true

.DEFAULT_GOAL := help
.PHONY: help setup reproduce grid encoder test lint format ui smoke bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create the environment in .venv from requirements.lock; does nothing when nothing changed

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	"Kinemask needs Python 3.11 or newer, found " + sys.version.split()[0] + ": name one, as in make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip check
	@# A copy without git history still reproduces: DVC is told that there is none.
	@git rev-parse --git-dir >/dev/null 2>&1 || $(BIN)/dvc config --local core.no_scm true
	@touch $@

# The check first: DVC reads `run` before any stage could say what is wrong with it.
reproduce: $(READY) ## run what params.yaml asks for, then print the results
	@started=$$(date +%s) && PATH="$(CURDIR)/$(BIN):$$PATH" && export PATH && \
	kinemask check && dvc repro && kinemask summary --started $$started

grid: $(READY) ## run a grid of params.yaml: make grid GRID=mtmc; without a name, list them
	@PATH="$(CURDIR)/$(BIN):$$PATH" kinemask grid $(GRID)

encoder: $(READY) ## an encoder to give away: simulated people taught it, IRDS and WMFT test it; fills release/
	@PATH="$(CURDIR)/$(BIN):$$PATH" && export PATH && kinemask grid released && kinemask release irds-xsub twins-500k

test: $(READY) lint ## the whole test suite, with lint, types and the layer contract
	$(BIN)/python -m pytest -n $$(getconf _NPROCESSORS_ONLN) --dist loadfile --no-loadscope-reorder

lint: $(READY) ## style, types and layers
	$(BIN)/ruff format --check src stages tests
	$(BIN)/ruff check src stages tests
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## let ruff format the code
	$(BIN)/ruff format src stages tests
	$(BIN)/ruff check --fix src stages tests

smoke: $(READY) ## a tiny dvc repro from a clean clone, on kinesim and, if there is a mirror, on irds
	$(BIN)/python tests/smoke.py

bench: $(READY) ## how fast arrays are made, a transformer steps and DVC looks; fills reports/speed (half an hour)
	$(BIN)/python tests/benchmarks/preprocess.py
	$(BIN)/python tests/benchmarks/transformer_step.py
	$(BIN)/python tests/benchmarks/simulation.py
	$(BIN)/python tests/benchmarks/graph.py

ui: $(READY) ## open MLflow on the results: make ui PORT=5000
	$(BIN)/kinemask ui --port $(PORT)

lock: ## write requirements.lock anew from pyproject.toml
	rm -rf .venv.lock && $(PYTHON) -m venv .venv.lock
	.venv.lock/bin/python -m pip install --quiet -e '.[pipeline,dev]' setuptools
	{ echo "# Exact versions that make installs. Written by 'make lock' from pyproject.toml."; \
	  .venv.lock/bin/python -m pip freeze --all --exclude-editable | grep -v '^pip==' | sed 's/+cpu$$//'; } > requirements.lock
	rm -rf .venv.lock

clean: ## remove results, records, data and checkpoints, keep the environment and MLflow's store
	rm -rf data results records .checkpoints reports/*.*
