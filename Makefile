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

demo: $(VENV)/app
	$(BIN)/python examples/make_demo_cohort.py $(DEMO)/bids
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
