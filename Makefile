# Two commands do everything on a fresh machine with Python 3.11 or newer and make: `make demo` and `make test`.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The first of these that is 3.11 or newer; set PYTHON to choose another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# One more than there are cores: many tests wait for a process, a browser, or a clock.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
DEBIAN_PACKAGES := prometheus prometheus-alertmanager alertmanager-irc-relay chromium docker-compose podman runc mmdebstrap systemd faketime postgresql

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/installed ## See it work: simulated cloud, daemon, notifications, metrics; ends after a minute
	@$(BIN)/watcher demo --for 60s

test: lint $(VENV)/components $(VENV)/helm ## Lint, types, import contracts and all tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report= && $(BIN)/python -m coverage report --fail-under=95 >/dev/null \
		|| { $(BIN)/python -m coverage report; exit 1; }

lint: $(VENV)/developed ## Ruff, mypy, the import contracts and hadolint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint Dockerfile

format: $(VENV)/developed ## Let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/developed ## Measure, as ratios taken side by side in one run
	@$(BIN)/python -m benchmarks

chaos: $(VENV)/developed ## Disturb three replicas for MINUTES (5) in every way, and say how long it took to take over
	@$(BIN)/python -m tests.acceptance.replicas --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

audit: $(VENV)/developed ## Known vulnerabilities in what the watcher is made of; 3: could not ask
	@$(BIN)/python deploy/audit.py requirements/image.txt

sbom: $(VENV)/developed ## The bill of materials: dist/watcher.cdx.json (CycloneDX)
	@mkdir -p dist
	@$(BIN)/python -W ignore -m cyclonedx_py requirements --output-reproducible --pyproject pyproject.toml \
		--of JSON -o dist/watcher.cdx.json requirements/image.txt
	@echo "dist/watcher.cdx.json"

lock: ## Renew the hash-locked requirements (needs uv)
	@for set in runtime image build dev helm; do \
		case $$set in runtime) what="pyproject.toml";; image) what="pyproject.toml --all-extras";; dev) what="pyproject.toml --group dev";; *) what="--group $$set";; esac; \
		case $$set in helm) python=3.12;; *) python=3.11;; esac; \
		uv pip compile $$what --universal --python-version $$python --generate-hashes --no-strip-extras --no-annotate --no-header \
			--no-emit-index-url --no-emit-find-links --quiet --output-file requirements/$$set.txt || exit 1; \
	done

clean: ## Remove what was made
	@rm -rf $(VENV) build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/python:
	@test -n "$(PYTHON)" || { echo "watcher needs Python 3.11 or newer: install it (Debian 12, Ubuntu 24.04:" \
		"apt-get install python3 python3-venv; macOS: brew install python), or say PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments;" \
		"on Debian or Ubuntu this mends it: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: requirements/runtime.txt requirements/build.txt pyproject.toml | $(VENV)/python
	@echo "Installing watcher into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/developed: requirements/dev.txt $(VENV)/installed
	@echo "Installing what the tests need into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

# Helm's library says that it needs Python 3.12, but runs on 3.11; where there is none, the tests of the chart say so.
$(VENV)/helm: requirements/helm.txt | $(VENV)/developed
	@if [ "$$(uname -sm)" = "Linux x86_64" ]; then \
		$(PIP) install --ignore-requires-python --require-hashes -r requirements/helm.txt; \
	fi
	@touch $@

# The real components that tests run against: installed from Debian where we may, else the tests say what is missing.
$(VENV)/components: Makefile | $(VENV)/python
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		missing=$$(for p in $(DEBIAN_PACKAGES); do dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || echo $$p; done); \
		if [ -n "$$missing" ]; then \
			echo "Installing" $$missing "from Debian ..."; \
			export DEBIAN_FRONTEND=noninteractive; \
			apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
		fi; \
	fi
	@touch $@

.PHONY: help demo test lint format bench chaos audit sbom lock clean
