# Requires Python 3.11 or newer, make and git:
#   make run     set up, run the pipeline, promote, serve on http://127.0.0.1:5000
# <library
#   make test    set up what the tests of the product need, and run them
# library>
PYTHON ?= python3
BIN := .venv/bin
# make 3.81, that of macOS, finds the programs of a recipe without quotes or pipes by the PATH that it was started with,
# unless the shell is another than /bin/sh.
SHELL := $(or $(wildcard /bin/bash),/bin/sh)
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export DVC_NO_ANALYTICS := 1
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/python -m pip install --quiet --no-deps
# <library
LIBRARY := --no-build-isolation --editable .
# library>
# project: PIN := requirements-lockstep.txt
# project: LIBRARY := --no-index --find-links wheels --require-hashes -r $(PIN)

.PHONY: $(shell grep -oE '^[a-z-]+:' Makefile | tr -d :)
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*##/ {printf "%-15s %s\n", $$1, $$2}' Makefile

run: repro serve  ## pipeline, promotion, then the app on http://127.0.0.1:5000

repro: setup  ## pipeline, promotion and the HTML reports of the models that a change affects, also for a refused one
	scripts/repro

pipeline: setup
	dvc repro --all-pipelines

promote: setup
	lockstep promote --all-models

serve: setup  ## the app with the Production model
	exec lockstep serve

mlflow: setup  ## the MLflow UI on the local tracking store, on http://127.0.0.1:5001
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --backend-store-uri sqlite:///.lockstep/mlflow.db --host 127.0.0.1 --port 5001

# <library
test: setup-dev  ## the tests of the product; ARGS=--long for all of them, ARGS=--cov with coverage
	scripts/test $(ARGS)
# library>

test-project: setup-dev  ## the checks of this project, whatever its params.yaml says; `make repro` comes first
	pytest tests_project $(ARGS)

check: setup-dev  ## lint, types, and generated tables of the docs
	ruff check
	ruff format --check
	mypy
# <library
	python scripts/docs_tables.py --check
# library>
	python scripts/use_cases.py --check

format: setup-dev  ## format the code
	ruff check --fix
	ruff format

# <library
check-ops: setup-dev setup-ops  ## lint and scan workflows, Terraform, manifests, image and code
	pytest -n 2 $(wildcard tests/github tests/infra tests/k8s tests/image tests/security/test_supply_chain.py tests/docs/test_remotes.py) $(ARGS)

check-infra: setup-dev setup-ops  ## the same for Terraform only; ARGS=--long applies it to an AWS emulator
	pytest tests/infra $(ARGS)
# library>

remote: setup  ## configure the DVC remote DVC_REMOTE_URL, or the bucket of the DagsHub repository DAGSHUB_REPO
	scripts/remote

ci-local: setup-dev  ## the jobs of ci.yml as a runner has them; ARGS="--skip long ci deploy", see scripts/ci_local.py
	python -m scripts.ci_local $(ARGS)

pull-data: setup  ## fetch data and models from the DVC remote, if one is set; says what is missing
	scripts/pull_data

push-data: setup  ## store data, models and reports at the DVC remote
	scripts/push_data

results: setup  ## append metrics and reports of each model, by version, to RESULTS_URL (s3://BUCKET/PATH)
	scripts/results

metrics-diff: setup  ## metrics and parameters that differ from BASE, as Markdown
	scripts/metrics_diff "$$BASE"

change-report: setup  ## metrics with intervals, parameters, data and the gate's decision against BASE, as Markdown
	scripts/change_report "$$BASE"

sbom: setup-dev  ## software bill of materials of the image, as CycloneDX
	scripts/sbom

scan:  ## known vulnerabilities of the image, by the scanners that are installed; high ones are an error
	scripts/scan $(ARGS)

preflight:  ## what a deployment needs is set and answers: variables, engine, registry of images, cluster
	scripts/preflight

push:  ## push the image to ECR_REPOSITORY, tagged by commit; prints its digest
	scripts/push --tag "$$(git rev-parse HEAD)"

retrain: setup  ## retrain with the labelled rows of FEEDBACK_URI or DATABASE_URL
	scripts/retrain

propose: setup  ## open a pull request with the result of `make retrain`
	scripts/propose build/retrain.json

# <library
docs: setup-dev  ## build the documentation site in build/docs
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
	@echo "python3 -m http.server --bind 127.0.0.1 --directory build/docs"

notebooks: setup-dev  ## run every notebook
	pytest tests/notebooks

demo-drift: setup-dev  ## false alarms and power of drift detection on the bundled data
	python -m scripts.drift_figures $(or $(ARGS),breast-cancer)

gauntlet: setup-dev  ## random odd tables through init and the stages, beside their clean form; ARGS="--tables 200"
	python -m scripts.gauntlet $(ARGS)

fault-figures: setup-dev  ## requests that fail while processes, disk, database and registry do, for the docs; minutes
	FAULT_TABLE=1 pytest --long tests/life/test_fault_table.py

bench: setup-dev bench-scale  ## run time and memory of the pipeline, as ratios, and scaling with rows
	python benchmarks/pipeline.py

bench-init: setup-dev  ## time of `lockstep init` on a wide table, beside pandas and five fits of histogram boosting
	python benchmarks/init.py $(ARGS)

bench-scale: setup-dev  ## time and memory of the first stages from 50 thousand to 5 million rows, in five minutes
	python benchmarks/scale.py $(ARGS)

bench-serving: setup-dev  ## compare the server with others; the first run takes 30 minutes, later ones 15
	python -m benchmarks.serving $(ARGS)
# library>

setup: .venv/run.stamp  ## virtual environment with the locked dependencies of pipeline and app

setup-dev: .venv/dev.stamp

setup-extras: .venv/extras.stamp  ## install the optional XGBoost, LightGBM, shap, Dask and Weights & Biases

# <library
setup-ops: .venv-ops/ops.stamp .lockstep/npm/ops.stamp
# library>

# <library
.venv/run.stamp: setup.py
# library>
.venv/run.stamp: requirements.lock $(PIN) | .venv/bin/pip
	@echo "installing the locked dependencies into .venv, a minute or two"
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) $(LIBRARY)
	$(BIN)/python -m compileall -q src flask_app
	@touch $@

.venv/dev.stamp: requirements-dev.lock .venv/run.stamp
	@echo "installing what tests and checks need"
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

.venv/extras.stamp: requirements-extras.lock .venv/run.stamp
	@echo "installing the extras"
	$(INSTALL) --require-hashes -r requirements-extras.lock
	@touch $@

# <library
.venv-ops/ops.stamp: requirements-ops.lock | .venv/bin/pip
	@echo "installing what checks the way to production into .venv-ops"
	$(PYTHON) -m venv .venv-ops
	.venv-ops/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements-ops.lock
	.venv-ops/bin/python scripts/spaced.py .venv-ops/bin
	@touch $@

.lockstep/npm/ops.stamp: tests/github/npm/package-lock.json
	@command -v npm >/dev/null || echo "NOT INSTALLED: npm; workflows are not checked by action-validator" >&2
	@mkdir -p $(@D) && cp tests/github/npm/*.json $(@D)
	@! command -v npm >/dev/null || npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --silent || \
	  echo "NOT INSTALLED: action-validator, npm's registry is out of reach; workflows are not checked by it" >&2
	@touch $@
# library>

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' || \
	  { echo "this Python cannot make virtual environments: install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# <library
lock: setup-dev  ## resolve the lock files again
	$(BIN)/python -m pip install --quiet uv
	scripts/lock
# library>

image: setup  ## build the image of the app with its Production model, IMAGE=flask-app:local
	scripts/image $(DOCKER_ARGS)

up: image  ## start the whole stack on this host: app, PostgreSQL, MLflow, Prometheus, Alertmanager, Grafana
	scripts/compose up --detach --build $(ARGS)

down:  ## stop that stack; its data are kept
	scripts/compose down

# <library
test-image: setup-dev setup-ops  ## build the image, run the stack, and test both
	scripts/test_image $(ARGS)
# library>

clean:  ## remove generated files, but not the local tracking store
	rm -rf .venv .venv-ops .pytest_cache .mypy_cache .ruff_cache build *.egg-info src/*.egg-info .coverage*
