# One command for each thing a person does here; `make help` lists them.
# ARGS="..." is handed to pytest, TESTS names folders of tests, WORKERS says how many run them, BOARD names the board of `make gate` and `make doctor`, PYTHON the interpreter for .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Without bytecode each of the hundreds of processes of a test run compiles the package anew: 3 s of processor time each.
unexport PYTHONDONTWRITEBYTECODE
PYTHON_ := .venv/bin/python
BOARD ?= qemu
ARGS ?=
TESTS ?= tests
# One more than processors: an emulator that keeps the time of a clock, or a wire that is cut, leaves a processor idle.
WORKERS ?= $(shell expr $$(nproc) + 1)
RUNS ?= hil-out/release
RECORD ?= releases/$(shell git describe --always --dirty 2>/dev/null)
KEY ?=
CPP_FILES = find firmware tests examples -not -path '*/build/*' \( -name '*.cpp' -o -name '*.hpp' -o -name '*.c' -o -name '*.h' \) -print0

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

.PHONY: agent
agent: bootstrap ## pack the test agent for other firmware: dist/hil-agent-VERSION.zip
	@$(PYTHON_) firmware/agent/pack.py dist

# hypothesis, a tool of the project's own tests, would cost the gate a second to load.
.PHONY: gate
gate: bootstrap ## judge every case on the board (BOARD=qemu); what stops a release
	@$(PYTHON_) -m pytest -p no:hypothesispytest --board=$(BOARD) $(ARGS)

# Runs afresh, so that no result of an earlier run is taken for one of these. A run that fails does not stop the next: the
# gate gives all reasons.
.PHONY: release
release: bootstrap ## every case on every board of release.toml, the gate, a record (RECORD=FOLDER; KEY=KEY.pem signs it)
	@rm -rf $(RUNS)
	@boards=$$($(PYTHON_) -c 'import tomllib; print(*tomllib.loads(open("release.toml", encoding="utf-8-sig").read())["boards"])') && \
	for board in $$boards; do \
	  $(PYTHON_) -m pytest -p no:hypothesispytest --board=$$board --hil-out=$(RUNS)/$$board $(ARGS) || true; \
	done
	@$(PYTHON_) -m hil.cli release $(RUNS)/* --out $(RECORD) $(if $(KEY),--key $(KEY))

.PHONY: test
test: bootstrap-tests ## the project's own tests
	@$(PYTHON_) -m pytest $(TESTS) -n $(WORKERS) --dist=loadfile --no-loadscope-reorder -m "not slow" $(ARGS)

.PHONY: test-slow
test-slow: bootstrap-tests ## the project's slow tests
	@$(PYTHON_) -m pytest $(TESTS) -n $(WORKERS) --dist=loadfile --no-loadscope-reorder -m slow $(ARGS)

.PHONY: lint
lint: bootstrap ## ruff, mypy, clang-format: complain
	@$(PYTHON_) -m ruff check .
	@$(PYTHON_) -m ruff format --check .
	@$(PYTHON_) -m mypy
	@$(CPP_FILES) | xargs -0 -r .venv/bin/clang-format --dry-run --Werror

.PHONY: format
format: bootstrap ## ruff, clang-format: mend
	@$(PYTHON_) -m ruff check --fix-only .
	@$(PYTHON_) -m ruff format .
	@$(CPP_FILES) | xargs -0 -r .venv/bin/clang-format -i

.PHONY: doctor
doctor: bootstrap ## what is installed, what is missing
	@$(PYTHON_) -m hil.cli doctor --board $(BOARD)

.PHONY: bootstrap
bootstrap: ## system tools and .venv; all other targets do this first
	@setup/bootstrap.sh

.PHONY: bootstrap-tests
bootstrap-tests: ## the same, and what only tests need: a browser, and RISC-V's compiler and emulator
	@setup/bootstrap.sh tests

.PHONY: schema
schema: bootstrap ## write what is made from the models anew: docs/run.schema.json, hil/schemas, the operators of docs/models.md
	@$(PYTHON_) -m hil.report.schema >docs/run.schema.json.part
	@mv docs/run.schema.json.part docs/run.schema.json
	@$(PYTHON_) -m hil.schemas.make
	@$(PYTHON_) -m hil.model.kernels.table

# SOURCE_DATE_EPOCH: two builds of a commit are the same bytes.
.PHONY: dist
dist: bootstrap ## sdist and wheel of hil into dist/
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(PYTHON_) -m hatchling build

.PHONY: rebuild
rebuild: ## make the case imu_motion again, from its data (TensorFlow, in .venv-rebuild)
	@setup/bootstrap.sh rebuild
	@.venv-rebuild/bin/python golden_vectors/imu_motion/build.py $(ARGS)

.PHONY: lock
lock: bootstrap ## resolve pyproject.toml into the lock files (UPGRADE=1 moves versions)
	@setup/lock.sh

.PHONY: clean
clean: ## remove what was built
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## remove the Python environments too
	@rm -rf .venv .venv-rebuild
