# `make demo` and `make test` are the two commands that need nothing but Python 3.11 to 3.13, make and a shell.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(shell grep -c '^[a-z].*==' requirements.lock)
INSTALLED := $(VENV)/installed-$(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)
PORT ?= 3000

# pip fetches all packages for minutes before it installs the first: every five seconds this says how far it is, as pip's
# own log has it. The lines end with the command that they stand before.
PIPLOG := $(VENV)/pip.log
SAYING = me=$$$$; (n=0; while sleep 5 >/dev/null 2>&1 && kill -0 $$me 2>/dev/null; do n=$$((n + 5)); \
  echo "  installing: $$n s, $$(grep -c '^Collecting' $(PIPLOG)) packages of $(LOCKED) fetched," \
    "$$(ls -d $(VENV)/lib/python*/site-packages/*.dist-info 2>/dev/null | wc -l | tr -d ' ') in place"; \
  done) & lines=$$!; trap "kill $$lines 2>/dev/null" EXIT;

.PHONY: help install demo ui unit test soak lint types check lock bench bench-netflix docs sources clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: $(INSTALLED)  ## .venv with the locked dependencies

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Python 3.11 to 3.13 is needed, this is {v[0]}.{v[1]}. Try make PYTHON=python3.12 …")'
	@echo "installing $(LOCKED) packages into $(VENV): one to five minutes, by the network"
	@$(PYTHON) -m venv $(VENV)
	@: >$(PIPLOG); $(SAYING) $(BIN)/python -m pip install --progress-bar off --disable-pip-version-check --require-hashes --no-deps \
	  -r requirements.lock >>$(PIPLOG)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/installed-* && touch $@

demo: install  ## land sample files (or DATA=<folder> [RELEASE=…]) and materialize everything
	@$(BIN)/cinestream demo $(if $(DATA),--data "$(DATA)") $(if $(RELEASE),--release "$(RELEASE)") $(if $(SCALE),--scale $(SCALE)) $(foreach source,$(SOURCE),--source $(source)) $(if $(FRESH),--fresh)

ui: install  ## Dagster UI and daemon on http://127.0.0.1:3000 (PORT=…), pages for stakeholders two ports above
	@$(BIN)/cinestream ui --port $(PORT)

docs: install  ## a page of the marts: lineage, columns, tests, SQL (after make demo)
	@$(BIN)/cinestream docs

unit: install  ## the unit tests: no server (K=expression chooses tests by name)
	$(BIN)/python -m pytest tests/unit --numprocesses logical --dist loadfile --max-worker-restart 0 $(if $(K),-k "$(K)")

sources: install  ## write what dbt and lineage know of dims and facts from the declarations (after a change of one)
	$(BIN)/python -m cinestream_platform.marts.sources

test: install  ## the whole test suite, on embedded services: every fault once (K=expression chooses tests by name)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(if $(K),-k "$(K)")

soak: install  ## what takes long: random kills, many files, random examples (SEED=, MINUTES=, K=); see docs/benchmarks.md
	$(if $(SEED),SEED=$(SEED)) $(if $(MINUTES),MINUTES=$(MINUTES)) HYPOTHESIS_PROFILE="make soak" \
	  $(BIN)/python -m pytest tests/soak -p no:xdist --capture no --timeout 0 $(if $(K),-k "$(K)")

lint: install  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install  ## mypy
	$(BIN)/mypy

check: lint types test  ## what CI runs

lock:  ## resolve pyproject.toml anew into requirements.lock (exact versions and hashes)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate \
	  --extra dashboards --extra login --extra alerts --group dev --group build pyproject.toml -o requirements.lock

bench: install  ## the benchmarks of docs/benchmarks (ROWS=25000000)
	$(BIN)/python -m benchmarks.raw_load --rows $(or $(ROWS),25000000)

bench-netflix: install  ## ours, the limit, Spark, dlt, pandas on the Netflix star (ROWS, ROUNDS, ARMS, SIZES, DATA, HOME_DIR, OUT)
	$(BIN)/python -m benchmarks.netflix --rows $(or $(ROWS),10000000) --rounds $(or $(ROUNDS),3) $(if $(ARMS),--arms "$(ARMS)") $(if $(SIZES),--sizes $(SIZES)) $(if $(DATA),--files "$(DATA)") $(if $(HOME_DIR),--home "$(HOME_DIR)") $(if $(OUT),--out "$(OUT)") $(if $(SIZES),,--queries)

clean: ## stop the embedded Postgres and remove all local state
	-@[ -x $(BIN)/cinestream ] && $(BIN)/cinestream services stop
	rm -rf .cinestream
