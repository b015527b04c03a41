# Two commands do all set-up on a fresh machine: `make run` opens the app, `make test` proves it.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run test check chats clean

run: .venv/.user
	.venv/bin/python app.py

test: .venv/.dev check
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium >/dev/null) || sudo sh -c 'apt-get update -qq && apt-get install -y -qq chromium >/dev/null'
	.venv/bin/python -m pytest

check: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

chats: .venv/.user
	.venv/bin/python -m dialogues.situations assets

.venv/.made:
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.user: .venv/.made requirements.txt constraints.txt
	$(PIP) -r requirements.txt
	@touch $@

.venv/.dev: .venv/.made requirements.txt requirements-dev.txt constraints.txt
	$(PIP) -r requirements-dev.txt
	@touch .venv/.user $@

clean:
	rm -rf .venv .tuneproof
