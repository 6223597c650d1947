# One way to run everything. A fresh machine needs Python 3.11+ and make; uv is brought along.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := .uv/bin/uv
SPEECH ?= tests/data
ROUNDS ?= 50
CASES ?= 10000
SEED ?= 0
MINUTES ?= 150
DIST ?= dist
RELEASE_KEY ?= none
SIGNERS ?= signers
# Tests of whole servers have the machine to themselves, unless their engines compute nothing; all others share it.
SERVED := tests/engines/test_contract.py tests/workers/test_chat_app.py tests/workers/test_llama.py tests/e2e
export UV_PYTHON_DOWNLOADS := never
# Every process would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help serve install browser charts otel ray s3 dev check audit sbom release verify-release licences format test coverage bench gateway vllm reliability wounds cancels soak metering bill fuzz docs lock clean

help:  ## What can be made here
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/'

serve: install  ## Start Antiphon on 127.0.0.1:8000 with the bundled models
	@exec $(BIN)/antiphon serve

install: $(VENV)/.serve

dev: $(VENV)/.dev

$(UV): | requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15) and "Antiphon needs Python 3.11 to 3.14; set PYTHON=/path/to/python3.11")'
	@echo 'Getting uv, which installs everything else, into .uv'
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt

charts:  ## Install what draws the PNG of `antiphon dedicated tune`
otel:  ## Install what sends traces (docs/operations.md)
ray:  ## Install Ray, for engines on several machines (docs/ray.md)
s3:  ## Install what keeps recordings in S3-compatible storage (docs/data.md)
charts otel ray s3: install
	$(UV) pip install --python $(BIN)/python --require-hashes -r requirements/$@.txt

# `serve` installs only what serving needs; `dev` brings a superset and satisfies `serve`.
$(VENV)/.serve: requirements/serve.txt pyproject.toml | $(UV)
	@echo 'Installing what serving needs into $(VENV), once: minutes, by how fast packages come'
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	@$(UV) pip install --python $(BIN)/python --require-hashes -r requirements/serve.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(UV)
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	$(UV) pip sync --python $(BIN)/python --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $(VENV)/.serve $@

check: dev  ## Format, lint, types, import order, what is locked and installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m supply.checks

audit: dev build/audit/.audit  ## Every lock against known vulnerabilities; fails if no service of advisories can be asked
	$(BIN)/python -m supply.advisories build/audit/bin/pip-audit

build/audit/.audit: requirements/audit.txt | $(UV)
	$(UV) venv --quiet --clear --python $(PYTHON) build/audit
	$(UV) pip install --quiet --python build/audit/bin/python --require-hashes -r requirements/audit.txt
	@touch $@

sbom: dev  ## The bill of materials, CycloneDX, into DIST=dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m supply.sbom $(DIST)/antiphon.cdx.json

release: dev  ## Source, wheel, bill of materials and signed sums, into DIST=dist (RELEASE_KEY=an SSH key)
	$(BIN)/python -m supply.release build $(DIST) "$(RELEASE_KEY)"

verify-release: dev  ## Whether the release in DIST=dist is whole, and signed by one of SIGNERS (docs/releases.md)
	$(BIN)/python -m supply.release verify $(DIST) $(SIGNERS)

licences: dev  ## Write down the licences of what is locked, as far as it is installed
	$(BIN)/python -m supply.licences

format: dev  ## Rewrite the code in its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

browser: dev  ## The Chromium of the tests: the system's, Debian's package, or Playwright's download
	$(BIN)/python -m tests.browser

test: check browser  ## Every test, on real models, with real clients and a real browser
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(SERVED:%=--ignore=%) $(ARGS)
	$(BIN)/pytest $(SERVED) $(ARGS)

coverage: dev  ## Branch coverage of the ledger and of admission: 100 %, or it fails
	$(BIN)/coverage run --branch --source=src/antiphon/ledger,src/antiphon/admission -m pytest tests/ledger tests/admission
	$(BIN)/coverage report --show-missing --skip-covered --fail-under=100

bench: dev  ## Chat and speech through Antiphon beside the bare engines (SPEECH=folder of recordings)
	$(BIN)/python -m benchmarks.chat
	$(BIN)/python -m benchmarks.speech --recordings $(SPEECH)

gateway: dev  ## What the gateway costs, beside others, which it installs; goes on where it stopped
	$(BIN)/python -m benchmarks.gateway

vllm: dev  ## Chat on vLLM's build for processors, which it installs; goes on where it stopped
	$(BIN)/python -m benchmarks.vllm

cancels: dev  ## Thousands of clients that leave at random moments (CASES=10000); goes on where it stopped
	$(BIN)/python -m benchmarks.cancels --cases $(CASES) --seed $(SEED)

reliability: dev  ## The ten figures of docs/reliability.md; measures what is missing (MINUTES=150), and goes on
	$(BIN)/python -m benchmarks.dashboard --minutes $(MINUTES)

wounds: dev  ## Break a running Antiphon again and again (ROUNDS=50); goes on where it stopped
	$(BIN)/python -m benchmarks.reliability --rounds $(ROUNDS)
	$(BIN)/python -m benchmarks.oracle
	$(BIN)/python -m benchmarks.foreign

soak: dev  ## A million simulated requests, then every fault again and again (ROUNDS=50); goes on where it stopped
	$(BIN)/python -m benchmarks.soak
	$(BIN)/python -m benchmarks.cells --rounds $(ROUNDS)

metering: dev  ## What metering adds to a request on SQLite and PostgreSQL, and what reading a month costs
	$(BIN)/python -m benchmarks.metering

bill: dev  ## Budgets raced and 10,000 requests sent twice, against scripted engines
	$(BIN)/python -m benchmarks.bill

fuzz: CASES = 100000
fuzz: SEED = 1
fuzz: dev  ## Mutated requests against a running Antiphon (CASES=100000, SEED=1), and schemas at random; goes on
	$(BIN)/python -m benchmarks.fuzz --cases $(CASES) --seed $(SEED)
	SCHEMAS=300 SEED=$(SEED) $(BIN)/pytest tests/engines/test_hostile_forms.py -k at_random

docs: dev  ## Regenerate the parts of docs/ that are made from the code, and write all of it as a site, build/site
	$(BIN)/antiphon docs --write docs
	$(BIN)/antiphon docs --site build/site

lock: $(UV)  ## Renew the hash-locked requirements
	echo pip-audit | $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header - \
		-o requirements/audit.txt
	echo uv | $(UV) pip compile --quiet --universal --generate-hashes --no-annotate --no-header - -o requirements/uv.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--extra bundled --group build pyproject.toml -o requirements/serve.txt
	for extra in charts otel ray s3; do $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --extra $$extra pyproject.toml -c requirements/serve.txt -o requirements/$$extra.txt; done
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--extra bundled --group build --group dev --group clients pyproject.toml -c requirements/serve.txt -o requirements/dev.txt
	$(UV) pip compile --quiet --python-platform x86_64-manylinux_2_28 --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--torch-backend cpu --excludes benchmarks/vllm/excludes.txt benchmarks/vllm/requirements.in -o requirements/vllm.txt

clean:  ## Remove what was installed and built
	rm -rf $(VENV) .uv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
