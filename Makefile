# Two commands to begin with: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test check install weights clean

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

demo: $(VENV)/app | $(DEMO)/bids
	$(BIN)/thalbids $(DEMO)/bids $(DEMO)/results participant group \
		-d manual=$(DEMO)/bids/derivatives/truth
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

# Train the region network further, from START (training/README.md). Interrupted, it resumes.
START ?= bids_app/assets/thalnet/thalnet-region.onnx
STEPS ?= 7000
weights: $(VENV)/app
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[training]'
	mkdir -p weights
	cp -n $(START) weights/start.onnx || true
	$(BIN)/python -m training.shapes $(SHAPES) $(MAPS) weights/anatomies
	$(BIN)/python -m training.scans weights/start.onnx weights/scans $(SCANS)
	$(BIN)/python -m training.train region weights/anatomies weights/region.pt \
		--start weights/start.onnx --scans weights/scans --pairs 16 --steps $(STEPS)
	$(BIN)/python -m training.export region weights/region.pt \
		bids_app/assets/thalnet/thalnet-region.onnx --start weights/start.onnx --scans weights/scans

clean:
	rm -rf $(VENV) $(DEMO)
