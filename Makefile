# Medloop in two commands: `make run`, `make test`. `make help` lists the rest.
DATASET ?= phantom
LANDING ?=
DIST ?= dist
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup java chromium systemd run test lint format stop status bench-service prove-swap fuzz-service soak check-compose prove-unattended prove-cluster prove-containers prove-bento wheel prove-wheel

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'
	@echo "  Settings: DATASET=$(DATASET) LANDING=path/to/images (default: the data set's own folder)"

setup: java .venv/.synced ## install what the project needs into .venv (uv, locked)

java:
	@./stack/need-java.sh

chromium:
	@./stack/need-chromium.sh

systemd:
	@./stack/need-systemd.sh

.tools/bin/uv:
	@echo "Getting uv …"
	@PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --target .tools uv \
	  || { echo "Could not install uv with pip. Install uv (docs.astral.sh/uv) and try again."; exit 1; }

.venv/.synced: pyproject.toml uv.lock | $(filter .tools/bin/uv,$(UV))
	@$(UV) sync --locked --compile-bytecode
	@touch $@

run: setup ## the whole loop: stack up, retrain, serve, ask (DATASET=…, LANDING=…)
	@$(RUN)/medloop run $(DATASET) $(if $(LANDING),--landing "$(LANDING)")

test: setup chromium systemd ## every test, on real parts, apart from your stack
	@$(RUN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

wheel: $(filter .tools/bin/uv,$(UV)) ## a wheel to install elsewhere, and the locked versions of what it needs, in dist/
	@$(UV) build --quiet --wheel --out-dir "$(DIST)"
	@$(UV) export --quiet --frozen --no-dev --no-emit-project --no-hashes --output-file "$(DIST)/constraints.txt"

check-compose: ## hold docker-compose.yml against Compose itself (built with Go if need be)
	@./stack/check-compose.sh

lint: setup ## ruff, mypy and vulture (dead code)
	@$(RUN)/ruff check
	@$(RUN)/ruff format --check
	@$(RUN)/mypy
	@$(RUN)/vulture

format: setup ## let ruff mend what it can
	@$(RUN)/ruff check --fix
	@$(RUN)/ruff format

stop: ## stop the stack; nothing is lost
	@if [ -x $(RUN)/medloop ]; then $(RUN)/medloop stack down; else echo "Nothing is set up, so nothing runs."; fi

status: setup ## what runs, which champions serve, where to look
	@$(RUN)/medloop status

bench-service: setup ## how fast the service is, beside the bare work and others (BUNDLE=…, IMAGE=…)
	@$(RUN)/python -m benchmarks.service $(if $(BUNDLE),--bundle "$(BUNDLE)") $(if $(IMAGE),--image "$(IMAGE)")

prove-swap: setup ## champions change 20 times under load: no request fails, none is mixed up
	@$(RUN)/python -m benchmarks.prove_swap

fuzz-service: setup ## 10,000 requests made up from the OpenAPI document: no crash, no 5xx
	@$(RUN)/python -m benchmarks.fuzz_service

prove-unattended: setup ## nobody at the keyboard: files arrive, a champion answers; traffic drifts, it retrains
	@$(RUN)/python -m benchmarks.prove_unattended

prove-cluster: setup ## four nodes as containers: a cluster makes what one machine makes, and nodes fail (root, podman)
	@$(RUN)/python -m benchmarks.prove_cluster $(if $(CASES),--only $(CASES))

prove-containers: setup ## docker-compose.yml, run: images built, all healthy, a retraining inside (root, podman)
	@$(RUN)/python -m benchmarks.prove_containers $(if $(CACHE),--cache "$(CACHE)")

prove-bento: setup ## bentoml build, bentoml containerize: a Bento answers in a container (root, podman)
	@$(RUN)/python -m benchmarks.prove_bento $(if $(CACHE),--cache "$(CACHE)")

prove-wheel: setup ## installed from a wheel, outside a checkout: the whole loop runs
	@$(RUN)/python -m benchmarks.prove_wheel

soak: setup ## 30 minutes at 80 % of capacity: latency and memory stay as they were
	@$(RUN)/python -m benchmarks.soak
