# What is done with the project from a terminal; `make` alone lists it.
# ARGS goes to the program behind a target: make demo ARGS="--days 14"

PYTHON_OF_PROJECT := .venv/bin/python
# A third of a worker's time is waiting for others' processes.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint package template bench docs requirements

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1	/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## Install what is needed into .venv and node_modules, unless it is there
	@sh .ci/setup

demo: setup ## Run the timer function against a simulated tenant and print the administrator's view
	@$(PYTHON_OF_PROJECT) -m cli demo $(ARGS)

test: setup ## Run the tests, without those that take long
	@$(PYTHON_OF_PROJECT) -m pytest -n $(WORKERS) --dist worksteal -m "not exhaustive" $(ARGS)

test-all: setup ## Run all tests, with coverage
	@$(PYTHON_OF_PROJECT) -m pytest -n $(WORKERS) --dist worksteal --cov $(ARGS)

lint: setup ## Check style, types, the direction of imports, Bicep, prose, spelling, and generated documents
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy --platform win32 --cache-dir .mypy_cache/win32 & windows=$$!; .venv/bin/mypy && wait $$windows
	@.venv/bin/lint-imports --no-logo
	@$(PYTHON_OF_PROJECT) -m docs.generate --check
	@node_modules/.bin/markdownlint-cli2 --config .ci/lint/.markdownlint-cli2.yaml >/dev/null
	@node_modules/.bin/cspell lint -c .ci/lint/cspell.yaml --no-progress --no-summary
	@node_modules/.bin/textlint -c .ci/lint/textlint.cjs --ignore-path .ci/lint/.textlintignore \
		"*.md" "docs/*.md" ".github/**/*.yml" "{cli,docs,infra,shared,simulator}/**/*.{bicep,json,ps1,py,sh}" function_app.py
	@$(PYTHON_OF_PROJECT) tests/infra/compiler.py

package: setup ## Build dist/ade-token-monitor-<version>.zip, which Azure takes as it is, and its SBOM
	@$(PYTHON_OF_PROJECT) infra/package.py
	@$(PYTHON_OF_PROJECT) infra/sbom.py

template: setup ## Compile infra/main.bicep into infra/azuredeploy.json, which the portal deploys
	@$(PYTHON_OF_PROJECT) -m docs.generate
	@$(PYTHON_OF_PROJECT) tests/infra/compiler.py template
	@$(PYTHON_OF_PROJECT) -m docs.generate

bench: setup ## Measure against bare HTTP
	@$(PYTHON_OF_PROJECT) -m benchmarks $(ARGS)

docs: setup ## Write the generated documents
	@$(PYTHON_OF_PROJECT) -m docs.generate

requirements: setup ## Compile requirements*.in into requirements*.txt
	@for name in requirements requirements-cli requirements-dev; do \
		echo "$$name.in -> $$name.txt"; \
		.venv/bin/pip-compile -q --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url \
			--no-emit-find-links --no-emit-trusted-host --no-emit-options --no-header --annotation-style=line \
			$$name.in -o $$name.txt || exit 1; \
	done
