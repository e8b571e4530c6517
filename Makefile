# Two commands are all a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test check install clean

# Plain install: what the app needs, pinned.
$(VENV)/app: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# Everything the tests need on top.
$(VENV)/test: $(VENV)/app requirements-test.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-test.lock
	touch $@

install: $(VENV)/app

# Made whole or not at all: an interrupted cohort is begun anew.
$(DEMO)/bids: | $(VENV)/app
	rm -rf $(DEMO)/bids $(DEMO)/unfinished
	$(BIN)/python examples/make_demo_cohort.py $(DEMO)/unfinished
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
	$(BIN)/python -m pytest

clean:
	rm -rf $(VENV) $(DEMO)
