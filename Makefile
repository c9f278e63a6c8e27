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
