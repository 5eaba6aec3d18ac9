# `make` alone explains itself. Everything is installed into .venv; only Python and make are needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The versions the tests were last run with, if the file exists; CONSTRAINTS= installs the newest.
CONSTRAINTS ?= $(wildcard tests/constraints.txt)
CONSTRAINED = $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
PIP = python -m pip install --quiet --disable-pip-version-check
# uv installs in seconds; where only pip is configured for the package index, pip does. Files are
# copied, since NLTK, which LlamaIndex uses, refuses to read one that has hard links.
INSTALL = install() { \
	UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$PIP_INDEX_URL}" $(BIN)/uv pip install --quiet \
	--link-mode copy --python $(BIN)/python $(CONSTRAINED) "$$@" 2>/dev/null || { \
	$(BIN)/$(PIP) --upgrade "pip>=25.1" && $(BIN)/$(PIP) $(CONSTRAINED) "$$@"; }; }; install

.DEFAULT_GOAL := help
.PHONY: help demo test lowest pythons constraints chaos fuzz audit stores ray dropin local lint format record bench \
	notebooks docs dist clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.demo ## Search Python's docstrings in both frameworks (live with VOYAGE_API_KEY)
	@$(BIN)/voyage-rag demo $(ARGS)

test: $(VENV)/.dev ## Run the tests
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile --max-worker-restart 0 $(ARGS)

LOWEST := build/lowest
lowest: ## Test both frameworks' classes on the lowest versions that pyproject.toml declares
	@$(PYTHON) -m venv --clear $(LOWEST)
	@$(LOWEST)/bin/$(PIP) "pip>=25.1" packaging
	@$(LOWEST)/bin/python tests/lowest.py > $(LOWEST)/constraints.txt
	@$(LOWEST)/bin/$(PIP) \
		--constraint $(LOWEST)/constraints.txt --editable '.[all,tokenizers]' --group lowest
	@$(LOWEST)/bin/python -m pytest -W ignore tests/langchain tests/llama_index tests/core tests/io \
		tests/emulator tests/commands tests/client tests/test_client.py \
		--ignore tests/langchain/test_standard.py --ignore tests/langchain/test_multimodal.py $(ARGS)

PYTHONS ?= python3.11 python3.12 python3.13 python3.14
pythons: ## Run the tests on every installed Python version (PYTHONS="..." selects some)
	@for python in $(PYTHONS); do if $$python -c "" 2> /dev/null; then echo "$$python:"; \
		$(MAKE) --no-print-directory test PYTHON=$$python VENV=build/$$(basename $$python) || exit 1; fi; done

constraints: clean ## Write the newest compatible versions to tests/constraints.txt
	@$(MAKE) CONSTRAINTS= $(addprefix $(VENV)/.,bench docs notebooks ray stores)
	@$(BIN)/python -m pip freeze --exclude-editable > tests/constraints.txt

stores: $(VENV)/.stores ## Test with Chroma, Qdrant, LanceDB, FAISS and PostgreSQL (PG_URI: your server)
	@$(BIN)/python -m pytest tests/stores $(ARGS)

dropin: $(VENV)/.dev ## Run the same programs on the replaced packages and on this one, and compare
	@$(BIN)/python -m pytest tests/dropin $(ARGS)

ray: $(VENV)/.ray ## Test Ray Data on a local cluster
	@# Ray does not wait for its processes to end, which causes a warning.
	@VOYAGE_RAG_RAY=1 $(BIN)/python -m pytest tests/bulk/test_ray.py -W "ignore:subprocess:ResourceWarning" $(ARGS)

local: $(VENV)/.local ## Test hosts with torch, sentence-transformers, moto and infinity
	@VOYAGE_RAG_INFINITY=$(VENV)/infinity/bin/infinity_emb $(VENV)/local/bin/python -m pytest tests/hosts $(ARGS)

lint: $(VENV)/.dev ## Check style, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy tests/typing/program.py
	@$(BIN)/pyright --pythonpath $(BIN)/python tests/typing/program.py
	@$(BIN)/python tests/typing/completeness.py
	@$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev ## Format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

record: $(VENV)/.dev ## Record the cassettes again: from the live service with VOYAGE_API_KEY, or the emulator
	@$(BIN)/python tests/record.py $(ARGS)

chaos: $(VENV)/.dev ## Inject faults, cancel calls and break connections under load (ARGS=--help for options)
	@PYTHONPATH=tests $(BIN)/python -m chaos $(ARGS)

fuzz: $(VENV)/.fuzz ## Feed decoders with random bytes, and methods with any object (ARGS=--help for longer)
	@PYTHONPATH=tests $(BIN)/python -m fuzz $(ARGS)

audit: $(VENV)/.audit ## List the licences of dependencies, and check for known vulnerabilities
	@mkdir -p build
	@$(BIN)/python tests/licences.py
	@$(BIN)/pip-audit --local --skip-editable --progress-spinner off 2>build/audit.txt || \
		{ grep '^Found' build/audit.txt || \
			echo "cannot read the database of vulnerabilities: $$(tail -n 1 build/audit.txt)"; exit 1; }

bench: $(VENV)/.bench ## Measure against the replaced packages (ARGS=--quick takes minutes)
	@$(BIN)/python -m benchmarks $(ARGS)

notebooks: $(VENV)/.notebooks ## Run the notebooks (ARGS=04 for one), and compare them with their stored outputs
	@$(BIN)/python notebooks/execute.py $(ARGS)

docs: $(VENV)/.docs ## Build the documentation into site/ (open site/index.html)
	@$(BIN)/zensical build --strict --clean

dist: $(VENV)/.dist ## Build wheel and sdist, and test them in a new environment
	@$(BIN)/python tests/distribution.py

clean: ## Delete the environment, build outputs and caches
	rm -rf $(VENV) dist build site .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "voyage-rag needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/$(PIP) "uv>=0.8"

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV) ..."
	@$(INSTALL) \
		--editable '.[langchain,llama-index,emulator,cli,images]'
	@touch $@

$(VENV)/.all: pyproject.toml $(VENV)/.demo
	@echo "Installing the other extras into $(VENV) ..."
	@$(INSTALL) --editable '.[all]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.all
	@$(INSTALL) --group dev
	@# Tests start many processes, which import compiled modules faster. Some packages have files
	@# that are templates, not Python.
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

$(VENV)/.ray: pyproject.toml $(VENV)/.dev
	@echo "Installing Ray into $(VENV) ..."
	@$(INSTALL) --group ray
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

$(VENV)/.local: pyproject.toml | $(VENV)/bin/python
	@echo "Installing torch and servers into $(VENV)/local and $(VENV)/infinity ..."
	@for name in local infinity; do \
		$(PYTHON) -m venv $(VENV)/$$name && \
		$(VENV)/$$name/bin/$(PIP) --upgrade "pip>=25.1" && \
		$(VENV)/$$name/bin/$(PIP) --group $$name || exit 1; \
	done
	@$(VENV)/local/bin/$(PIP) \
		--editable '.[langchain,llama-index,emulator,cli,images,aws,local]'
	@touch $@

$(VENV)/.stores: pyproject.toml $(VENV)/.all
	@echo "Installing the stores into $(VENV) ..."
	@$(INSTALL) --group stores
	@touch $@

$(VENV)/.bench: pyproject.toml $(VENV)/.all
	@$(INSTALL) --group bench
	@touch $@

$(VENV)/.fuzz: pyproject.toml $(VENV)/.dev
	@$(INSTALL) --group fuzz
	@touch $@

$(VENV)/.audit: pyproject.toml $(VENV)/.dev
	@$(INSTALL) --group audit
	@touch $@

$(VENV)/.notebooks: pyproject.toml $(VENV)/.all
	@$(INSTALL) --group notebooks
	@touch $@

$(VENV)/.docs: pyproject.toml $(VENV)/.all
	@$(INSTALL) --group docs
	@touch $@

$(VENV)/.dist: pyproject.toml | $(VENV)/bin/python
	@$(INSTALL) --group dist
	@touch $@
