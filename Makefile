# Two commands do all the set-up: `make signoff` and `make test`.  They install again only when what is installed changed.
PYTHON ?= python3
WORKERS ?= 2
STAGE ?= 10
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -q
GO ?= go
TOXIPROXY := github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0

.DEFAULT_GOAL := help
.PHONY: help install toxiproxy signoff test ci-tier full lint types format clean

help:
	@echo "make signoff  rehearse the sign-off of stage $(STAGE) against the built-in mock: a report in reports/runs/"
	@echo "make test     the tests and the scenarios, without the benchmarks and the long ones"
	@echo "make full     every test there is"
	@echo "make toxiproxy  the real Toxiproxy, into $(BIN) (needs Go)"
	@echo "make lint     format and lint      make types   mypy --strict      make clean   back to a fresh clone"

install: $(STAMP)

$(STAMP): pyproject.toml .ci/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "make: $(PYTHON) is not Python 3.11 or newer; say which one is: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "make: $(PYTHON) cannot make virtual environments; install them (Debian: apt-get install python3-venv) or give another one: make PYTHON=..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e ".[load,plots,toxiproxy,test]"
	@touch $@

# `go install` names the program after its folder, "server".
toxiproxy: $(STAMP)
	@command -v $(GO) >/dev/null || { echo "make: there is no Go, which builds Toxiproxy; install it (Debian: apt-get install golang-go) or do without: the embedded proxy takes its place" >&2; exit 2; }
	@GOBIN="$(CURDIR)/$(BIN)/go" $(GO) install $(TOXIPROXY)
	@mv $(BIN)/go/server $(BIN)/toxiproxy-server && rmdir $(BIN)/go
	@echo "$(CURDIR)/$(BIN)/toxiproxy-server is used where it is on PATH or TOXIPROXY_SERVER names it"

# make knows only success and failure: the last line says what sse-harness said.
signoff: $(STAMP)
	@$(BIN)/sse-harness signoff --stage $(STAGE); code=$$?; \
	case $$code in 0) verdict=GO;; 1) verdict=NO-GO;; 3) verdict=HOLD;; *) verdict=none;; esac; \
	echo "verdict $$verdict, exit $$code"; exit $$code

# The same proxy on every machine, unless TOXIPROXY_SERVER names another one.
test: export TOXIPROXY_SERVER ?= embedded
test: $(STAMP)
	@$(PYTEST) -m "not ci and not full" -n $(WORKERS) --dist loadfile

ci-tier: $(STAMP)
	@$(PYTEST) -m "ci and not full"

full: $(STAMP)
	@$(PYTEST)

lint: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(STAMP)
	@$(BIN)/mypy

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist ./*.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
