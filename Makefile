# Two commands to begin with: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo docs test coverage install weights clean

# Plain install: the dependencies of the app, pinned.
$(VENV)/app: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# Additional dependencies of the tests.
$(VENV)/test: $(VENV)/app requirements-test.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-test.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -r training/requirements-cpu.txt || \
		echo "No CPU build of PyTorch on this package index: the tests of training/ are skipped."
	touch $@

install: $(VENV)/app

# Complete or absent: an interrupted cohort is simulated again from the start.
$(DEMO)/bids: | $(VENV)/app
	rm -rf $(DEMO)/bids $(DEMO)/unfinished
	$(BIN)/python examples/make_demo_cohort.py --multicontrast 4 $(DEMO)/unfinished
	mv $(DEMO)/unfinished $(DEMO)/bids

# SAMSEG takes 20 minutes: it segments one session, if `make demo SAMSEG=FOLDER` names its
# environment or run_samseg is on the PATH.
TRUTH := -d manual=$(DEMO)/bids/derivatives/truth
demo: $(VENV)/app | $(DEMO)/bids
	$(BIN)/thalbids $(DEMO)/bids $(DEMO)/results participant group $(TRUTH)
	$(if $(or $(SAMSEG),$(shell command -v run_samseg 2>/dev/null)),\
		$(BIN)/thalbids $(DEMO)/bids $(DEMO)/results participant --participant-label 05 \
		--session-label 01 --methods samseg $(SAMSEG:%=--tool-image samseg=venv:%) && \
		$(BIN)/thalbids $(DEMO)/bids $(DEMO)/results group $(TRUTH))
	@echo
	@echo "The report: $(abspath $(DEMO))/results/group.html"

test: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m tests.language.check
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope

# Lines of bids_app that no test executes, subprocesses included. Deselected are two tests of what
# happens when Python starts, to which coverage adds.
coverage: $(VENV)/test
	$(BIN)/pip install --quiet --disable-pip-version-check "pytest-cov>=7"
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope --cov --cov-report term-missing:skip-covered \
		--deselect tests/test_cli.py::test_start_up_is_quick \
		--deselect tests/test_start.py::test_modules_in_the_working_folder_are_not_imported

# The documentation in site/, with the pages of the demo if there are any.
docs: $(VENV)/test
	THALBIDS_DEMO=$(wildcard $(DEMO)/results) NO_MKDOCS_2_WARNING=1 \
		$(BIN)/python -m mkdocs build --quiet --strict
	@echo "The documentation: $(abspath site)/index.html"

# Train both networks from nothing (training/README.md). Interrupted, it resumes. TEACHER labels the
# real scans. Outcome: weights/*.onnx and what training.judge finds.
TEACHER ?= bids_app/assets/thalnet/thalnet-region.onnx
STEPS ?= 7000
HEAD_STEPS ?= 2000
weights: $(VENV)/app
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[training]'
	mkdir -p weights
	test -e weights/teacher.onnx || cp $(TEACHER) weights/teacher.onnx
	$(BIN)/python -m training.shapes $(SHAPES) $(MAPS) weights/anatomies
	$(BIN)/python -m training.scans weights/crops $(SCANS)
	$(BIN)/python -m training.train head $(MAPS) weights/head.pt \
		--pairs 12 --steps $(HEAD_STEPS) --seed 7
	$(BIN)/python -m training.train region weights/anatomies weights/region.pt \
		--scans weights/crops --teacher weights/teacher.onnx --pairs 12 --steps $(STEPS)
	$(BIN)/python -m training.export head weights/head.pt weights/thalnet-head.onnx
	$(BIN)/python -m training.export region weights/region.pt weights/thalnet-region.onnx
	$(BIN)/python -m training.judge weights/teacher.onnx weights/thalnet-region.onnx \
		--anatomies weights/anatomies --scans weights/region.scans

clean:
	rm -rf $(VENV) $(DEMO) site
