.DEFAULT_GOAL := help
.PHONY: help .venv check audit test test-slow campaign labelling docs pictures demo dist release-check sbom clean

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv: $(INSTALLED) ## install gradbox and all its tools (7.9 GB); every target does this first

$(INSTALLED): pyproject.toml constraints.txt
	@echo "installing into .venv: about 7.9 GB, some minutes"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt trackers
	@touch $@

check: $(INSTALLED) docs audit ## ruff, mypy --strict, import-linter, the documentation, the doctests, known vulnerabilities
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q src

audit: $(INSTALLED) ## known vulnerabilities in the pinned versions: a finding warns, within a minute
	$(BIN)/python tools/audit.py constraints.txt

# Two processes of one thread each: on two cores more threads make both slower.
test test-slow: export OMP_NUM_THREADS := 1

test: $(INSTALLED) ## every test that is not slow, in two processes
	$(BIN)/pytest -n 2 -q -rs

test-slow: $(INSTALLED) ## the slow tests: real classifiers, whole commands, a browser
	$(BIN)/pytest -n 2 -q -rs -m slow

# SCALE=1 is the short run, and SCALE=0.4 what is among the slow tests; SEED=N for other damage.
campaign: export OMP_NUM_THREADS := 1
campaign: $(INSTALLED) ## damaged files, kills, full disks, threads: SCALE=20 for the long run
	$(BIN)/pytest -n 2 -q -m slow tests/campaign --scale $(or $(SCALE),1) --campaign-seed $(or $(SEED),0)

# Label Studio needs other versions than gradbox, so it has an environment of its own (1 GB).
LABEL_STUDIO := build/labelling/label-studio
LABEL_STUDIO_VERSION := 1.23.2

$(LABEL_STUDIO)/.installed-$(LABEL_STUDIO_VERSION):
	@echo "installing Label Studio $(LABEL_STUDIO_VERSION) into $(LABEL_STUDIO): about 1 GB, some minutes"
	$(PYTHON) -m venv --clear $(LABEL_STUDIO)
	$(LABEL_STUDIO)/bin/pip install --quiet --disable-pip-version-check label-studio==$(LABEL_STUDIO_VERSION)
	@touch $@

# Each file of tests runs in the environment of its program, which is made at the first call.
labelling: export OMP_NUM_THREADS := 1
labelling: $(INSTALLED) $(LABEL_STUDIO)/.installed-$(LABEL_STUDIO_VERSION) ## the real Label Studio (1 GB), FiftyOne, datumaro and Ultralytics (1.5 GB)
	for program in datumaro fiftyone ultralytics; do \
	  python=$$($(BIN)/python tests/labelling/environments.py $$program) || exit 1; \
	  $$python -m pytest -q -rs -m labelling tests/labelling/test_$$program.py || exit 1; \
	done
	$(BIN)/pytest -q -rs -m labelling tests/labelling/label_studio

docs: $(INSTALLED) ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "documentation: site/index.html"

pictures: $(INSTALLED) ## make every picture of README and docs anew
	$(BIN)/python docs/pictures.py
	$(BIN)/python benchmarks/neurons.py $$($(BIN)/python -c 'from gradbox.demo.photographs import PHOTOGRAPHS as p; print(p[0].sample.source)') --out docs/images/neurons.jpg

demo: $(INSTALLED) ## locate objects in photographs and generated scenes, without any download
	$(BIN)/gradbox demo

dist: $(INSTALLED) ## build sdist and wheel into dist/, the version from the last tag
	$(BIN)/python tools/release.py build

release-check: dist ## install both in new environments of PYTHON, and try them there
	$(BIN)/python tools/release.py try --python $(PYTHON)

sbom: dist ## the bill of materials of an installation with PYTHON, into build/
	$(BIN)/python tools/release.py sbom --python $(PYTHON)

clean: ## remove what the other targets wrote, except .venv
	rm -rf site demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
