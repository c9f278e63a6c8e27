# Two commands: `make demo` and `make test`. Each does its own set-up and ends by itself. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
export RAG_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rag-operator
VENV := $(RAG_CACHE)/venv/$(shell cat locks/dev.txt pyproject.toml | sha256sum | cut -c1-16)-$(shell echo "$(CURDIR)" | sha256sum | cut -c1-8)
BIN := $(VENV)/bin

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: venv
venv: $(VENV)/.done ## the virtual environment, in the cache folder, keyed by the lock file and this checkout
$(VENV)/.done:
	@echo "· virtual environment $(VENV)"
	@rm -rf "$(VENV)" && $(PYTHON) -m venv "$(VENV)"
	@"$(BIN)/pip" install -q --disable-pip-version-check --no-deps --require-hashes -r locks/dev.txt
	@"$(BIN)/pip" install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

TOOLS := $(RAG_CACHE)/bin
CLUSTER := $(PYTHON) -m tests.cluster

.PHONY: packages
packages: ## Debian packages that tests need (only where apt-get is)
	@bash .ci/packages

.PHONY: tools
tools: ## kubectl, helm, kubeconform and the local cluster's binaries, built once per lock file
	@$(CLUSTER) tools >/dev/null

.PHONY: check
check: venv tools ## what a reviewer would look for: format, lint, types, layers, drift, chart, scripts
	@"$(BIN)/ruff" format --check -q . && "$(BIN)/ruff" check -q .
	@"$(BIN)/mypy"
	@"$(BIN)/lint-imports" --no-logo >/dev/null || "$(BIN)/lint-imports"
	@"$(BIN)/python" -m rag_operator.api check
	@"$(TOOLS)/helm" lint --quiet --strict charts/rag-operator
	@"$(TOOLS)/helm" template rag-operator charts/rag-operator --namespace rag-system >/dev/null
	@git ls-files -z '*.sh' .ci | xargs -0 "$(BIN)/shellcheck"
	@echo "· check: all good"

.PHONY: test-unit
test-unit: venv ## pure rooms, seconds
	@"$(BIN)/pytest" -q -n 2 tests/unit

.PHONY: test-integration
test-integration: venv packages tools ## real Postgres, Redis and API server
	@"$(BIN)/pytest" -q -n 2 --dist loadfile tests/integration

.PHONY: test-faults
test-faults: venv packages tools ## crashes, frozen leaders, bad weather: a sample of every suite
	@"$(BIN)/pytest" -q -n 2 tests/faults

.PHONY: test-full
test-full: venv packages tools ## the same, every point with every fault: an hour or two
	@RAG_FAULTS=all "$(BIN)/pytest" -q -n 2 tests/faults

.PHONY: test-e2e
test-e2e: venv packages cluster-up ## pods on the local Kubernetes
	@"$(BIN)/pytest" -q tests/e2e -m "not cluster_lifecycle"

.PHONY: test-lifecycle
test-lifecycle: venv packages ## the local cluster comes and goes and leaves nothing; takes down one that is up
	@$(CLUSTER) down
	@"$(BIN)/pytest" -q -m cluster_lifecycle tests/e2e/test_the_local_cluster_leaves_nothing.py

.PHONY: test
test: packages check test-unit test-integration test-faults test-e2e test-lifecycle ## everything that CI runs

.PHONY: cluster-up
cluster-up: packages ## the local Kubernetes with our images
	@$(CLUSTER) up && $(CLUSTER) images

.PHONY: cluster-down
cluster-down: ## remove it and all that it left
	@$(CLUSTER) down

.PHONY: demo
demo: venv cluster-up ## cluster, images, helm install, quickstart, a question answered with sources
	@"$(BIN)/python" -m tests.demo

.PHONY: bench
bench: venv packages cluster-up ## every benchmark, printed as tables
	@"$(BIN)/python" -m tests.bench

.PHONY: generate
generate: venv ## CRDs, chart templates and API reference from rag_operator.api
	@"$(BIN)/python" -m rag_operator.api write

.PHONY: lock
lock: venv ## pinned versions with hashes
	@bash .ci/lock "$(BIN)/uv"
