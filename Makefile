# The front door. `make up` and `make test` set up whatever is missing first.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV ?= .venv
# cpu or gpu: which ONNX Runtime the export measures with. An NVIDIA card is found by itself.
ACCELERATOR ?= $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU && echo gpu || echo cpu)
# More options for pip, such as an index with CPU builds of torch (see docs/get-started/index.md).
PIP_ARGS ?=

DATA ?= data/public_maps.csv
CHECKPOINT ?= checkpoints/classifier
EXPORTED ?= exports/classifier
PRECISION ?= auto
BASE_MODEL ?=
# What in DATA is meant, where its columns have other names than the usual ones; and split files of their own.
TEXT_COLUMN ?=
LABEL_COLUMN ?=
GROUP_COLUMN ?=
LANGUAGE_COLUMN ?=
LABEL_SEPARATOR ?=
VALIDATION_DATA ?=
TEST_DATA ?=
# More options of `python -m training`, quoted as for a shell.
TRAIN_OPTIONS ?=
# Names of the labels, for a checkpoint that has none: a list with commas, or a file.
LABELS ?=
# More options of `python -m export export`, quoted as for a shell.
EXPORT_OPTIONS ?=
# More options of `python -m repository publish`, such as `--as candidate`.
PUBLISH_OPTIONS ?=
SETTINGS := DATA CHECKPOINT EXPORTED PRECISION BASE_MODEL LABELS TRAIN_OPTIONS EXPORT_OPTIONS PUBLISH_OPTIONS
SETTINGS += TEXT_COLUMN LABEL_COLUMN GROUP_COLUMN LANGUAGE_COLUMN LABEL_SEPARATOR VALIDATION_DATA TEST_DATA
# As they were typed: make would take a $ in a path for a variable of its own. Recipes read them from the environment,
# in quotation marks, so that no character of a path means anything to the shell.
$(foreach name,$(SETTINGS),$(eval override $(name) := $$(value $(name))))
export $(SETTINGS)

# Tests that mind no neighbours. They begin: a long file that came last would leave the other processes idle.
FUNCTIONAL := alternatives any_data architectures batch batch_interrupted batch_windows bodies clients dialects
FUNCTIONAL += dialects_huggingface dialects_kserve dialects_openai end_to_end external_data fast_lane feedback
FUNCTIONAL += feedback_training golden grpc grpc_health grpc_inference http inputs jobs jobs_bounds kserve_codes
FUNCTIONAL += kubernetes meaning monitoring openapi pages pairs pins python_client receipts s3 server_triton service
FUNCTIONAL += several_models tei tracing tracing_grpc tracking trials watching web web_access web_api web_feedback
FUNCTIONAL += web_many web_meaning web_questions web_snippets wheel windows windows_requests
# Tests that have limits of time, but mostly wait: they mind only neighbours that compute. All others run alone.
WAITING := candidate_rules candidates candidates_s3 connection_limits connections grpc_faults grpc_swaps
WAITING += jobs_interrupted jobs_pinned log reloads several_tritons swaps tracing_export
INTEGRATION = $(1:%=tests/integration/test_%.py)
# Four on any machine: most of them wait most of the time, for a service to start or for its next look at Triton.
SIDE_BY_SIDE := --numprocesses 4 --dist loadfile --no-loadscope-reorder
# A PyTorch that takes all cores waits by spinning for its other threads: two of them slow each other down tenfold.
ONE_THREAD := OMP_NUM_THREADS=1

PY := $(VENV)/bin/python
# What serves, trains and exports; and beside it what tests and benchmarks need, which `make up` does not wait for.
INSTALLED := $(VENV)/.installed-$(ACCELERATOR)
TOOLS := $(VENV)/.tools-$(ACCELERATOR)
EXTRAS := gateway,grpc,client,train,export,adapters,s3,tracing,$(ACCELERATOR)
# pip compiles one file after the other, which takes half of its time; what it leaves is compiled on all cores.
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --no-compile $(PIP_ARGS) -c locks/app.txt
COMPILE := $(PY) -m compileall -qq -j 0 -x '/tests/' $(VENV)/lib || true

.PHONY: help check check-ports setup tools train export pipeline up test test-fast docker-test airflow-test mlflow bench bench-gpu soak
.PHONY: lint format fuzz nemesis licenses reference docs docs-serve lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Run it

up: check-ports setup ## Train and publish a model if there is none, then start Triton and the gateway
	@exec $(PY) -m launcher

train: setup ## Fine-tune the classifier on DATA, into CHECKPOINT
	@$(PY) -m launcher.pipeline --only train

export: setup ## Export CHECKPOINT in PRECISION and publish it as the next version
	@$(PY) -m launcher.pipeline --only export --only publish

pipeline: setup ## Inspect, train, evaluate, hold against the served version, export and publish; FROM=step to go on
	@$(PY) -m launcher.pipeline $(if $(filter command,$(origin FROM)),--from="$$FROM")

##@ Install it

check:
	@$(PYTHON) -m server.preflight

setup: check $(INSTALLED) ## Install the project into .venv and Triton into .triton
	@$(PY) -m server install

$(INSTALLED): pyproject.toml locks/app.txt | check
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[$(EXTRAS)]'
	@$(COMPILE)
	@rm -f $(VENV)/.installed-* $(VENV)/.tools-*
	@touch $@

tools: setup $(TOOLS) ## Install what tests and benchmarks need beside it

$(TOOLS): $(INSTALLED)
	$(PIP) -e '.[$(EXTRAS),track,bench,dev,docs]'
	@$(COMPILE)
	@touch $@

check-ports:
	@$(PYTHON) -m server.preflight --ports

##@ Check it

test: lint ## Run linter, type checker and all tests
	$(ONE_THREAD) $(PY) -m pytest $(SIDE_BY_SIDE) $(call INTEGRATION,$(FUNCTIONAL)) tests/unit
	$(ONE_THREAD) $(PY) -m pytest $(SIDE_BY_SIDE) $(call INTEGRATION,$(WAITING))
	$(PY) -m pytest tests/integration $(patsubst %,--ignore=%,$(call INTEGRATION,$(FUNCTIONAL) $(WAITING)))

test-fast: lint ## Run linter, type checker and the quick unit tests: before each commit
	$(ONE_THREAD) $(PY) -m pytest $(SIDE_BY_SIDE) tests/unit -m "not slow" --quiet

lint: tools ## Run linter and type checker, and check that imports run one way
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	PYTHONPATH=client $(VENV)/bin/lint-imports --no-logo --no-cache

format: tools ## Format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docker-test: tools ## Build all images and run the CPU compose file, on the Docker engine that answers
	COMPOSE_TRAIN=1 $(PY) -m pytest tests/unit/deploy/test_deploy.py tests/integration/test_compose.py

airflow-test: tools ## Run the DAG in deploy/airflow by Airflow itself, installed into .airflow; some minutes
	AIRFLOW_TEST=1 $(PY) -m pytest tests/integration/test_airflow.py

fuzz: tools ## Look for bytes that break a promise of a reader, by atheris, SECONDS_EACH=600 for each of six
	$(PY) -m tests.fuzz run $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH))

nemesis: tools ## Let faults strike the service for SECONDS, and check every answer; SEED=N again, S3=1 in S3
	$(PY) -m tests.nemesis run $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(if $(S3),--s3)

##@ Measure it

bench: tools ## Measure the published model, into benchmarks/results; QUICK=1 for less than five minutes
	$(PY) -m benchmarks all $(if $(QUICK),--quick)

bench-gpu: tools ## Measure what this machine's NVIDIA card brings, in ten minutes, into benchmarks/results
	$(PY) -m benchmarks gpu

soak: tools ## Swap versions under load for MINUTES and watch memory and answers, into benchmarks/results
	$(PY) -m benchmarks soak $(if $(MINUTES),--minutes $(MINUTES))

mlflow: setup ## Look at tracked runs at http://127.0.0.1:MLFLOW_PORT, in MLflow's own pages, installed into .mlflow
	@$(PY) -m tests.own_environments mlflow mlflow
	.mlflow/bin/python -m mlflow server --host 127.0.0.1 --port "$${MLFLOW_PORT:-5000}" --backend-store-uri sqlite:///mlflow.db --artifacts-destination mlartifacts

##@ Look after it

licenses: setup ## Write THIRD_PARTY_LICENSES.md anew, from what is installed
	@$(PY) -m launcher.licenses

reference: setup ## Write docs/reference anew (settings, HTTP API, command line, manifest, metrics), and promises' alerts
	$(PY) -m launcher.reference
	$(PY) -m launcher.promises

docs: tools ## Build the documentation into site/; a link or anchor that leads nowhere fails
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build

docs-serve: tools ## Show the documentation at http://127.0.0.1:DOCS_PORT (8088), anew after each change
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs serve --dev-addr 127.0.0.1:$${DOCS_PORT:-8088}

lock: ## Bring the locks in line with pyproject.toml and the alternatives' .in files, UPGRADE=1 to newer versions (needs uv)
	@cp locks/app.txt locks/app.new
	@uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --all-extras $(if $(UPGRADE),--upgrade) -c <(echo torch==2.13.0) -o locks/app.new pyproject.toml
	@{ head -2 locks/app.txt; grep -v '^#' locks/app.new; } > locks/app.tmp
	@mv locks/app.tmp locks/app.txt && rm locks/app.new
	@cd benchmarks/alternatives/locks && for name in *.in; do lock=$${name%.in}.txt; uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate $(if $(UPGRADE),--upgrade) -o $$lock $$name && sed -i '1i # Exact versions of everything that this environment holds: a pip constraints file, written by `make lock`.' $$lock || exit 1; done

clean: ## Remove environments, caches, checkpoints and exports; published versions stay
	rm -rf $(VENV) .triton .floor .airflow .mlflow .alternatives .mypy_cache .ruff_cache .pytest_cache build dist site checkpoints exports *.egg-info
	find . -name __pycache__ -not -path './.git/*' -type d -prune -exec rm -rf {} +
