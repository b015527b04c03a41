"""`python -m tuning`: what the Tune tab does, from a file."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dialogues.dialogue import Dataset
from tuning.__main__ import _owner
from tuning.jobs import ROOT
from tuning.runs import FINISHED, list_runs


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tuning", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture
def plan(tmp_path: Path, tiny_model: Path, chats: Dataset) -> Path:
    rows = [{"chat": e.dialogue.text, "summaries": list(e.references)} for part in chats.splits.values() for e in part]
    (tmp_path / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path = tmp_path / "plan.toml"
    path.write_text(f'data = "chats.jsonl"\nbase_model = "{tiny_model}"\nsize = "quick"\nsteps = 12\nname = "March"\n')
    return path


@pytest.mark.slow
def test_a_plan_becomes_a_finished_run_that_the_app_can_open(plan: Path) -> None:
    said = command(plan)
    assert said.returncode == 0, said.stderr
    home = plan.parent / ".tuneproof"
    (run,) = list_runs(home / "runs", (home / "command-line.key").read_text())
    assert list_runs(home / "runs", "command line") == [], "no word that anybody could guess lists it"
    assert run.progress().state == FINISHED and run.plan.steps == 12 and run.record.name == "March"
    assert "12 steps of 8 pairs" in said.stdout and run.id in said.stdout
    again = command(run.folder)
    assert again.returncode == 2 and "nothing left to do" in again.stderr


def test_everything_wrong_with_a_plan_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('size = "quick"\nepochs = 3\nsteps = "many"\n')
    said = command(path)
    assert said.returncode == 2 and "Traceback" not in said.stderr
    assert all(words in said.stderr for words in ("no setting 'epochs'", "no chats", "steps is 'many'"))
    assert command(tmp_path / "gone.toml").returncode == 2


@pytest.mark.parametrize("module", ["tuning", "evaluation.measure", "sharing.export"])
def test_a_folder_that_is_no_run_is_refused_in_a_sentence(tmp_path: Path, module: str) -> None:
    more = ["5", "--to", tmp_path / "out"] if module == "sharing.export" else []
    line = [sys.executable, "-m", module, str(tmp_path), *map(str, more)]
    said = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert said.returncode and said.stderr.endswith("no run. Give a run's folder, as the command line printed it.\n")
    assert "Traceback" not in said.stderr


def test_the_command_says_what_it_wants() -> None:
    said = command("--help")
    assert said.returncode == 0 and all(words in said.stdout for words in ("RUN_FOLDER", "learning_rate", "report_to"))


def test_runs_of_one_home_belong_to_one_secret_that_only_its_owner_can_read(tmp_path: Path) -> None:
    owner = _owner(tmp_path)
    assert len(owner) == 64 and owner == _owner(tmp_path)
    assert stat.S_IMODE((tmp_path / "command-line.key").stat().st_mode) == 0o600


def test_a_tracker_that_is_missing_is_refused_before_a_run_is_made(plan: Path) -> None:
    plan.write_text(plan.read_text() + 'report_to = "nobody"\n')
    said = command(plan)
    assert said.returncode == 2 and "no tracker nobody" in said.stderr
    assert not list(plan.parent.rglob("record.json"))
