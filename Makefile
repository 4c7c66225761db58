# Bulkhead. `make` alone lists what it can do; each target installs what it lacks first.

PYTHON ?=
PACKAGES ?= install
BIN := .venv/bin
VIEWER := web/viewer/dist/index.html

# Tests that have a systemd of their own, or kill so much at once that little else should run beside them.
STORMS := $(addprefix tests/system/test_,units.py ticket_units.py memory_limits.py durability.py)

# Services are shared by the tests of a file. Files come in the order that tests/conftest.py gives them.
BY_FILE := --dist loadfile --no-loadscope-reorder

# Set-up, linters and the viewer's build each keep one core busy.
MAKEFLAGS += --jobs=2

export PYTHON
.DEFAULT_GOAL := help
.PHONY: help demo up test lint docs bench chaos leaks viewer install uninstall clean pins packages

help: ## List these targets
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' Makefile | while read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

demo: packages .venv/.runtime $(VIEWER) ## Render an example drawing on the embedded platform and say where the result lies
	@$(BIN)/python -m examples.demo

up: packages .venv/.runtime $(VIEWER) ## Run the embedded platform until Ctrl-C
	@$(BIN)/bulkhead up

test: lint $(VIEWER) ## Lint, then run every test against real services on private ports
	cd web/viewer && npm test --silent
	$(BIN)/pytest --numprocesses 2 tests/unit tests/engine
	$(BIN)/pytest --numprocesses 3 $(BY_FILE) $(addprefix --ignore ,tests/unit tests/engine $(STORMS))
	$(BIN)/pytest --numprocesses 2 $(BY_FILE) $(STORMS)

lint: packages .venv/.dev ## Check style, types and the arrows between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

docs: packages .venv/.dev ## Write settings, HTTP reference and schemas from the models
	$(BIN)/python docs/generate.py

bench: packages .venv/.dev ## Run every benchmark; the last line of each is one JSON object
	@for script in benchmarks/[a-z]*.py; do echo "$$script"; $(BIN)/python "$$script" || exit; done

chaos: packages .venv/.dev ## As root: 1,000 jobs, bombs and hangs among them, and kills, under a real systemd
	$(BIN)/python -m tests.system.storms.crashes --jobs 1000

viewer: packages $(VIEWER) ## Build the page that people look at

install: packages $(VIEWER) ## Install for systemd: /opt/bulkhead, units, settings (DESTDIR= and PREFIX= as usual)
	@sh setup/install.sh install

uninstall: ## Remove what install installed; settings and data are kept
	@sh setup/install.sh uninstall

leaks: packages .venv/.dev ## Hunt leaks in every source family, 200 jobs each
	@$(BIN)/python -m tests.leaks.families 200

clean: ## Remove everything that was made: .venv, var, caches
	rm -rf .venv var build dist web/viewer/node_modules web/viewer/dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

pins: ## Resolve pyproject.toml into requirements/*.txt, exact and hashed
	@sh setup/pins.sh

$(VIEWER): $(shell find web/viewer -path '*/node_modules' -prune -o -path '*/dist*' -prune -o -type f -print) setup/viewer.sh | packages
	@sh setup/viewer.sh

packages:
	@[ "$(PACKAGES)" = skip ] || sh setup/packages.sh

.venv/.runtime: requirements/runtime.txt requirements/build.txt setup/venv.sh | packages
	@sh setup/venv.sh runtime

.venv/.dev: requirements/dev.txt requirements/build.txt setup/venv.sh | packages
	@sh setup/venv.sh dev
