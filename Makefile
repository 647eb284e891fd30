# Holdfast: `make run` tries it, `make test` checks it, `sudo make install` installs it. `make help` lists the rest.

PYTHON  ?= python3
VENV    ?= .venv
BIN      = $(VENV)/bin
PREFIX  ?= /opt/holdfast
DESTDIR ?=
PURGE   ?= 0
PIP_ARGS ?=
PYTEST_ARGS ?=

.PHONY: help run built native test lint type unit system venv test-venv packages generate lock install uninstall bench soak soak-backup soak-traffic-tools soak-traffic-rules soak-traffic-fuzz soak-suricata integrity-long soak-packages screenshots clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- for users -------------------------------------------------------------------------------------------------------

run: venv ## a console and an agent on loopback, state under ./var; Ctrl-C stops both
	@$(BIN)/python tools/native.py
	@exec $(BIN)/python tools/run_local.py $(RUN_ARGS)

install: ## as root: venv under /opt/holdfast, /usr/bin/holdfast, units, users, samples, man pages, completions
	@PYTHON="$(PYTHON)" PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" PIP_ARGS="$(PIP_ARGS)" sh tools/install.sh

uninstall: ## as root: remove what install made; state and configuration stay unless PURGE=1
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" PURGE="$(PURGE)" sh tools/uninstall.sh

# ---- for developers --------------------------------------------------------------------------------------------------

test: packages test-venv ## lint, types and all tests; installs what they need
ifeq ($(strip $(PYTEST_ARGS)),)
	@$(MAKE) --no-print-directory -j 3 --output-sync=target lint type built
	$(BIN)/python -m tests.side_by_side all
else
	@$(MAKE) --no-print-directory lint type unit system
endif

built:
	@$(BIN)/python tools/native.py

native: test-venv ## compile the hot paths with mypyc, where there is a C compiler; without it the same sources run uncompiled
	@$(BIN)/python tools/native.py --strict

lint: test-venv ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: test-venv ## mypy, strict
	$(BIN)/mypy

unit: test-venv ## every test but those that boot a system, a few packages at a time; with PYTEST_ARGS=… one pytest that is told so
ifeq ($(strip $(PYTEST_ARGS)),)
	$(BIN)/python -m tests.side_by_side
else
	$(BIN)/python -m pytest -m "not system" $(PYTEST_ARGS)
endif

system: test-venv ## install into a Debian root and boot it with a real systemd
	$(BIN)/python -m pytest -m system tests/system $(PYTEST_ARGS)

SOAK_KILLS ?= 2000
SOAK_SEED  ?= $(shell date +%s)
SOAK_RULESETS ?= 5000
SOAK_CUTS ?= 2000
SOAK_BACKUP_KILLS ?= 200
SOAK_TREES ?= 60

soak: test-venv ## long runs: the core killed 2,000 times (SOAK_KILLS, SOAK_SEED), 5,000 rulesets against the kernel, an hour of real work for the memory figure
	HOLDFAST_KILLS=$(SOAK_KILLS) HOLDFAST_SEED=$(SOAK_SEED) $(BIN)/python -m pytest tests/faults/test_nothing_lost.py $(PYTEST_ARGS)
	$(BIN)/python -m tests.analysis.firewall.kernel.soak --rulesets $(SOAK_RULESETS) --seed $(SOAK_SEED)
	@$(MAKE) --no-print-directory soak-backup
	$(BIN)/python benchmarks/idle_memory.py --minutes 60

integrity-long: test-venv ## a hundred thousand random deeds on watched files (SEED=1)
	HOLDFAST_FILE_OPERATIONS=100000 HOLDFAST_SEED=$(or $(SEED),1) $(BIN)/python -m pytest -o timeout=3600 tests/collectors/integrity/test_engine.py -k random_deeds

soak-packages: test-venv ## as root: thirty runs of apt that are watched while every processor is busy (ROUNDS): one event each
	HOLDFAST_PACKAGE_ROUNDS=$(or $(ROUNDS),30) $(BIN)/python -m pytest -m system -o timeout=3600 tests/system/test_integrity_watching.py $(PYTEST_ARGS)

soak-backup: test-venv ## backups alone: 2,000 cuts twice, 200 kills in each of backup, prune, repair and replicate, death at every write, every byte flipped, odd trees
	HOLDFAST_BACKUP_CUTS=$(SOAK_CUTS) HOLDFAST_BACKUP_KILLS=$(SOAK_BACKUP_KILLS) HOLDFAST_BACKUP_DEATHS=1 HOLDFAST_BACKUP_BYTES=1 HOLDFAST_BACKUP_TREES=$(SOAK_TREES) HOLDFAST_SEED=$(SOAK_SEED) \
	  $(BIN)/python -m pytest --timeout 3600 tests/actions/backup/test_replicate.py tests/actions/backup/test_over_sftp.py tests/actions/backup/test_odd_trees.py tests/actions/backup/test_job.py tests/actions/backup/test_target_prune.py tests/actions/backup/test_saver.py tests/actions/backup/test_prune.py \
	  tests/actions/backup/test_repair.py tests/actions/backup/test_deaths.py tests/actions/backup/test_checker.py $(PYTEST_ARGS)

soak-traffic-tools: packages test-venv ## as root: every real tool (nmap, hping3, hydra, slowhttptest, iodine, sqlmap …) against the detectors, in namespaces
	$(BIN)/python -m tests.collectors.traffic.detectors.tools

soak-traffic-rules: test-venv ## whole flows made of 1,500 random rules (SOAK_RULES, SOAK_SEED), each of which must make its rule speak, and be silent with a byte altered
	HOLDFAST_TRAFFIC_RULES=$(or $(SOAK_RULES),1500) HOLDFAST_TRAFFIC_WHOLE=1 HOLDFAST_SEED=$(SOAK_SEED) $(BIN)/python -m pytest -s tests/collectors/traffic/rules/test_flows.py $(PYTEST_ARGS)

soak-traffic-fuzz: test-venv ## a million mutated captures, a million mutated conversations and 100,000 through every part with rules (SOAK_FUZZ, SOAK_FUZZ_WHOLE, SOAK_SEED); says the time and the memory
	HOLDFAST_FUZZ_TRAFFIC=$(or $(SOAK_FUZZ),1000000) HOLDFAST_FUZZ_WHOLE=$(or $(SOAK_FUZZ_WHOLE),100000) HOLDFAST_SEED=$(SOAK_SEED) $(BIN)/python -m tests.collectors.traffic.soak $(PYTEST_ARGS)

soak-suricata: test-venv ## as root: a real suricata (on the PATH; Debian 12: bookworm-backports) is followed while its output is renamed and emptied: every alert once
	$(BIN)/python -m tests.collectors.suricata_eve.live

bench: test-venv ## every benchmark, one after another, with the figure to reach
	@$(BIN)/python benchmarks/run_all.py

generate: test-venv ## write the samples, the reference pages and the man pages anew
	$(BIN)/python tools/generate.py

screenshots: test-venv ## take the README's pictures anew: make screenshots LINK=… (a one-time login link)
	$(BIN)/python tools/screenshots.py "$(LINK)"

lock: test-venv ## resolve the lock files anew
	sh tools/lock.sh $(BIN)

packages: ## the Debian packages that the tests need: installed as root, else named
	@sh tools/test_packages.sh requirements/debian-test.txt

venv: $(VENV)/.run
test-venv: $(VENV)/.test

$(VENV)/.run: requirements/run.lock setup.cfg pyproject.toml
	@sh tools/make_venv.sh "$(PYTHON)" $(VENV) requirements/run.lock $(PIP_ARGS)
	@touch $@

$(VENV)/.test: requirements/test.lock setup.cfg pyproject.toml
	@sh tools/make_venv.sh "$(PYTHON)" $(VENV) requirements/test.lock $(PIP_ARGS)
	@touch $@ $(VENV)/.run

clean: ## remove what was built here (not ./var)
	rm -rf $(VENV) */*/_native build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
