# `make` without a target lists the targets. Each target first installs what is missing.

PYTHON ?=
PACKAGES ?= install
INSTALL_PACKAGES := $(if $(filter skip,$(PACKAGES)),:,sh setup/packages.sh)
BIN := .venv/bin
VIEWER := web/viewer/dist/index.html

# The lists of Debian packages (setup/packages/) that the targets of this call need. The rule of the viewer adds its own.
DEVELOPMENT := test lint bench chaos leaks packages
LISTS := $(if $(filter-out viewer,$(MAKECMDGOALS)),run) $(if $(filter $(DEVELOPMENT),$(MAKECMDGOALS)),viewer test) \
	$(filter machine,$(MAKECMDGOALS))

# Tests that boot a private systemd or kill many processes. They need most of the machine.
STORMS := $(addprefix tests/system/test_,units.py unit_secrets.py unit_starts.py ticket_units.py crashes.py durability.py)

# The tests of a file share their services. tests/conftest.py sorts the files.
BY_FILE := --dist loadfile --no-loadscope-reorder

# The set-up, the linters and the build of the viewer keep one core busy each.
MAKEFLAGS += --jobs=2

export PYTHON
.DEFAULT_GOAL := help
.PHONY: help demo up test lint docs bench chaos machine leaks viewer install uninstall clean pins packages

help: ## List these targets
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' Makefile | while read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

demo: packages .venv/.runtime $(VIEWER) ## Render an example drawing on the embedded platform and print where the result is
	@$(BIN)/python -m examples.demo

up: packages .venv/.runtime $(VIEWER) ## Run the embedded platform until Ctrl-C
	@$(BIN)/bulkhead up

test: lint $(VIEWER) ## Lint, then run every test against real services on private ports
	cd web/viewer && npm test --silent
	$(BIN)/pytest --numprocesses 2 tests/unit tests/engine
	$(BIN)/pytest --numprocesses 3 $(BY_FILE) $(addprefix --ignore ,tests/unit tests/engine $(STORMS))
	$(BIN)/pytest --numprocesses 2 $(BY_FILE) $(STORMS)

lint: packages .venv/.dev ## Check style, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

docs: packages .venv/.dev ## Generate the reference pages and schemas in docs/ from the models
	$(BIN)/python docs/generate.py

bench: packages .venv/.dev ## Run every benchmark; the last line of each output is a JSON object
	@for script in benchmarks/*.py; do echo "$$script"; $(BIN)/python "$$script" || exit; done

chaos: packages .venv/.dev ## As root: run 1,000 jobs, some of which exceed their memory limit or hang, under a real systemd with random kills
	$(BIN)/python -m tests.system.storms.crashes --jobs 1000

machine: packages .venv/.dev $(VIEWER) ## As root: run memory bombs under the units in a virtual machine with Debian 12 (KEEP=DIRECTORY keeps it)
	@$(BIN)/python -m tests.machine.run $(if $(KEEP),--keep "$(KEEP)")

viewer: $(VIEWER) ## Build the viewer

install: packages $(VIEWER) ## Install for systemd: /opt/bulkhead, units, settings (supports DESTDIR= and PREFIX=)
	@sh setup/install.sh install

uninstall: ## Remove what `make install` installed; keep settings and data
	@sh setup/install.sh uninstall

leaks: packages .venv/.dev ## Search every source format for memory leaks, 200 jobs each
	@$(BIN)/python -m tests.leaks.families 200

clean: ## Remove .venv, builds, caches, and var with all jobs, drawings and outputs of the embedded platform
	rm -rf .venv var build dist web/viewer/node_modules web/viewer/dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

pins: ## Resolve pyproject.toml into requirements/*.txt with exact versions and hashes
	@sh setup/pins.sh

$(VIEWER): $(shell find web/viewer -path '*/node_modules' -prune -o -path '*/dist*' -prune -o -type f -print) setup/viewer.sh | packages
	@$(INSTALL_PACKAGES) viewer && sh setup/viewer.sh

packages: ## Install the Debian packages for development
	@$(if $(strip $(LISTS)),$(INSTALL_PACKAGES) $(LISTS))

.venv/.runtime: requirements/runtime.txt requirements/build.txt setup/venv.sh | packages
	@sh setup/venv.sh runtime

.venv/.dev: requirements/dev.txt requirements/build.txt setup/venv.sh | packages
	@sh setup/venv.sh dev
