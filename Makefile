# make demo          one picture through the whole path, on the built-in emulator
# make test          install what the tests need and run them all; what needs more than Python is skipped and says so
# make check         lint, types, import contracts, tests
# make clients       install what those tests need: OpenAI's older client, LiteLLM, npm's packages
# make chromium      install the browser that the tests of the page need (Debian, as root)
# make scenarios     ten thousand simulated days of outages, quotas and latencies (a few minutes)
# make fuzz          throw N=10000 requests at the gateway: by its description, and as malformed bytes
# make bench         library and gateway beside hand-written boto3 and LiteLLM (a quarter of an hour); writes docs/performance.md
# make bench-pick    microseconds for a pick among 10, 100 and 1,000 deployments
# make bench-routing routing over HTTP beside LiteLLM on hidden quotas (half an hour; QUICK=1 for five minutes)
# make bench-memory  two minutes at concurrency 128 with pictures of 2 MB: what the gateway's memory does
# make simulate      compare the strategies under a virtual clock; writes docs/routing-simulation.md and .png
# make wheel         build sdist and wheel into dist/
# make schema        write configs/lascaux.schema.json anew
# make docs          write docs/tasks.md and its picture anew, from the catalogue and the emulator
# make page          write docs/page-*.png anew: the gateway's page in Chromium, on the emulator
# make clean         forget everything that was made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
#: Hundreds of processes start in a run of the tests; where this is set each of them would compile the whole package anew.
export PYTHONDONTWRITEBYTECODE :=
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: help demo test check lint types contracts clients node chromium scenarios fuzz bench bench-pick bench-routing bench-memory simulate wheel schema docs page clean

help:
	@sed -n 's/^# //p' Makefile

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, this is $$($(PYTHON) -V); set PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "installing Lascaux into $(VENV) ..."
	@$(PIP) install -e .
	@touch $@

#: The second name for the checkout lets mypy see the root as the package it is.
$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing Lascaux and what its tests need into $(VENV) ..."
	@$(PIP) install -e '.[dev]'
	@mkdir -p $(VENV)/typing && ln -sfn $(CURDIR) $(VENV)/typing/lascaux
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	@$(BIN)/python -m lascaux demo

#: One worker more than there are cores, for many tests wait.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --dist worksteal

check: lint types contracts test

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	MYPYPATH=$(VENV)/typing $(BIN)/mypy -p lascaux

contracts: $(VENV)/.dev
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev .venv-bench/.installed
	$(BIN)/python benchmarks/bench.py

bench-pick: $(VENV)/.dev
	$(BIN)/python benchmarks/pick.py

#: LiteLLM lives in an environment of its own, pinned to the version that the settings were chosen for.
.venv-bench/.installed: | $(BIN)/python
	@echo "installing LiteLLM into .venv-bench ..."
	@$(BIN)/python -m venv .venv-bench
	@.venv-bench/bin/python -m pip --disable-pip-version-check -q install 'litellm[proxy]==1.106.2' 'boto3>=1.40'
	@touch $@

#: OpenAI's package of the line before the newest, which many programs still have.
.venv-openai2/.installed: | $(BIN)/python
	@echo "installing OpenAI's older package into .venv-openai2 ..."
	@$(BIN)/python -m venv .venv-openai2
	@.venv-openai2/bin/python -m pip --disable-pip-version-check -q install 'openai>=2,<3'
	@touch $@

#: OpenAI's package for Node, a Node that is new enough for it, and the accessibility checker.
tests/node/node_modules/.installed: tests/node/package-lock.json
	@echo "installing npm's packages into tests/node ..."
	@cd tests/node && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

node: tests/node/node_modules/.installed

clients: .venv-openai2/.installed .venv-bench/.installed node

#: Debian's, for the tests of the page. Needs root.
chromium:
	@command -v chromium >/dev/null || { echo "installing Chromium ..."; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium curl >/dev/null; }

bench-routing: $(VENV)/.dev .venv-bench/.installed
	$(BIN)/python benchmarks/routing.py $(if $(QUICK),--quick)

bench-memory: $(VENV)/.dev
	$(BIN)/python benchmarks/gateway_memory.py

simulate: $(VENV)/.dev
	$(BIN)/python benchmarks/simulate.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

scenarios: $(VENV)/.dev
	LASCAUX_SCENARIOS=10000 $(BIN)/python -m pytest tests/test_scenarios.py

fuzz: $(VENV)/.dev
	FUZZ_REQUESTS=$(or $(N),10000) $(BIN)/python -m pytest -s tests/test_gateway_fuzz.py

wheel: $(VENV)/.dev
	$(BIN)/python -m build --no-isolation --outdir dist .

schema: $(VENV)/.dev
	$(BIN)/python -m lascaux schema > configs/lascaux.schema.json

docs: $(VENV)/.dev
	$(BIN)/python docs/make_tasks.py

page: $(VENV)/.dev
	$(BIN)/python docs/make_page.py

clean:
	rm -rf $(VENV) .venv-bench .venv-openai2 tests/node/node_modules build dist out *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
