# One command for each thing a person does here. Set-up is part of every command: see .ci/setup.
SCENE ?=
CONFIG ?= device_configs/$(if $(SCENE),showcase,laptop).toml
ARGS ?=
TESTS ?=
PYTHON := .venv/bin/python

# A build server can install all that tests need, so that a skipped test is a failure there.
ifeq ($(CI),true)
export EDGE_NO_SKIPS ?= 1
endif

.DEFAULT_GOAL := help
.PHONY: help run demo bench test check models test-export test-fleet lock audit gpu clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: ## the picture: SCENE=portal or CONFIG=device_configs/laptop.toml, ARGS="--seconds 60"
	@.ci/setup run
	@$(PYTHON) -m edge_runtime run $(CONFIG) $(if $(SCENE),--scene $(SCENE)) $(ARGS)

demo: ## a small venue, played from a recording: ARGS=...
	@.ci/setup run
	@$(PYTHON) -m edge_runtime demo $(ARGS)

bench: ## the budgets, measured on this machine: ARGS=...
	@.ci/setup run
	@$(PYTHON) -m edge_runtime bench $(ARGS)

test: ## every test that can run here: TESTS=tests/display ARGS="-x"
	@.ci/setup test
	@$(PYTHON) -m pytest -m "not fleet" $(TESTS) $(ARGS)

test-fleet: ## boxes provisioned, booted, updated, hurt (Debian, as root): TESTS=tests/fleet/test_unit.py ARGS=...
	@.ci/setup test
	@.ci/setup fleet
	@.ci/packages "make test-fleet" iproute2 prometheus prometheus-node-exporter || :
	@$(PYTHON) -m pytest -m fleet -n 2 --dist loadfile $(or $(TESTS),tests/fleet) $(ARGS)

check: ## ruff, mypy --strict, import-linter
	@.ci/setup dev
	@.ci/check

models: ## every model again from pinned sources (hours; installs torch): ARGS="stylize"
	@.ci/setup export
	@$(PYTHON) -m export all $(ARGS)

test-export: ## the tests of what makes models (installs torch): ARGS=...
	@.ci/setup test
	@.ci/setup export
	@$(PYTHON) -m pytest tests/export tests/test_bring_your_own.py $(ARGS)

lock: ## the exact requirements of releases again, from pyproject.toml: ARGS="--upgrade"
	@.ci/setup fleet
	@.ci/lock $(ARGS)

audit: ## known vulnerabilities of the locked requirements, secrets in tracked files
	@.ci/setup fleet
	@$(PYTHON) .ci/audit.py $(ARGS)
	@.ci/secrets

gpu: ## swap onnxruntime for onnxruntime-gpu (x86-64 with NVIDIA's driver)
	@.ci/setup gpu

clean: ## remove caches; .venv stays (rm -rf .venv)
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist
	@find edge_runtime tests export -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
