# Needs git, make and Python 3.11 or newer; everything else comes into .venv from the locks, by hash.
# Each target's help is the ## comment behind it.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
PY := $(VENV)/bin/python
LOCKED := $(VENV)/.locked
READY := $(VENV)/.ready

# The stamp holds the directory it was made for: a copied or moved tree must not go on testing the original.
ifneq ($(CURDIR),$(shell cat $(LOCKED) 2>/dev/null))
$(LOCKED): rebuild
endif

# One more than there are cores: each test waits a third of its time, for a disk, a server, a child.
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
PYTEST = $(PY) -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal
UV_COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(PY) -m uv pip compile --quiet --universal \
	--python-version 3.11 --generate-hashes pyproject.toml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check format prove bench lock docs docs-check clean rebuild

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## sync a throw-away workspace before your eyes
	@$(PY) demo/run.py

test: $(READY) ## the default tests; where CI is set, a fixed part of the long ones too
	@$(PYTEST) $(if $(CI),--long-share 512,-m "not long")

check: $(READY) ## lint, format, types, and the direction of every import
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy
	@$(PY) -m pytest -q tests/test_architecture.py

format: $(READY) ## rewrite the code as `make check` wants it
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

prove: $(READY) ## kill it, its servers and its connections, fill disks, cut its power; show that nothing is lost
	@$(PY) -m tests.faults.prove
	@$(PY) -m tests.data.prove

bench: $(READY) ## time a sync, a heal and pushes of rows and objects beside what people do by hand
	@$(PY) benchmarks/sync.py
	@$(PY) benchmarks/heal.py
	@$(PY) benchmarks/promote.py
	@$(PY) benchmarks/archive.py
	@$(PY) benchmarks/files.py
	@$(PY) benchmarks/distance.py
	@$(PY) benchmarks/watch.py
	@$(PY) benchmarks/api.py

lock: $(READY) ## compile requirements/ anew from pyproject.toml (add UPGRADE=--upgrade for newer versions)
	@$(UV_COMPILE) $(UPGRADE) --output-file requirements/base.txt
	@$(UV_COMPILE) $(UPGRADE) --group dev --constraint requirements/base.txt --output-file requirements/dev.txt

docs: $(READY) ## write the generated pages anew
	@$(PY) docs/generate.py

docs-check: $(READY) ## fail where a generated page differs from its source
	@$(PY) docs/generate.py --check

clean: ## remove the virtual environment and what tools left behind
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist

$(LOCKED): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "raccord needs Python 3.11 or newer, and $(PYTHON) is not: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null || \
		{ echo "$(PYTHON) can't make a virtual environment: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@echo "installing the locked tools into $(VENV)"
	@$(PY) -m pip --disable-pip-version-check install -qq --require-hashes -r requirements/dev.txt
	@printf '%s' '$(CURDIR)' > $@

# Apart from the locked tools, since it takes a second: an entry point or the version may change often.
$(READY): $(LOCKED) pyproject.toml src/raccord/__init__.py
	@$(PY) -m pip --disable-pip-version-check install -qq --no-deps --no-build-isolation --editable .
	@touch $@
