"""The run folder: what is whole, whose it is, and that it never tells of work which nobody does."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dialogues.dialogue import Dataset
from tuning.plan import Plan, propose
from tuning.runs import (
    FINISHED,
    INTERRUPTED,
    RUNNING,
    SAMPLED,
    TESTED,
    TRAIN,
    WAITING,
    Run,
    RunRefused,
    State,
    all_runs,
    create,
    delete,
    list_runs,
    open_run,
)


@pytest.fixture
def plan(chats: Dataset, tiny_model: Path) -> Plan:
    return propose(chats, str(tiny_model), "full", "quick", precision="fp32")


@pytest.fixture
def run(tmp_path: Path, plan: Plan, chats: Dataset) -> Run:
    return create(tmp_path, plan, chats, "my chats", "ada's secret")


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_new_run_holds_what_it_was_made_from(run: Run, plan: Plan, chats: Dataset) -> None:
    assert run.plan == plan
    assert run.dataset.digest == chats.digest and run.dataset.name == chats.name
    assert run.record.name == "my chats" and "secret" not in (run.folder / "record.json").read_text()
    progress = run.progress()
    assert (progress.state, progress.step, progress.steps, progress.over) == (WAITING, 0, plan.steps, False)
    assert run.log_tail() == "" and run.reports() == [] and run.measuring() is None


def test_an_owner_sees_only_their_runs_the_newest_first(tmp_path: Path, run: Run, plan: Plan, chats: Dataset) -> None:
    newer = create(tmp_path, plan, chats, "second", "ada's secret")
    other = create(tmp_path, plan, chats, "third", "ben's secret")
    assert list_runs(tmp_path, "ada's secret") == [newer, run]
    assert list_runs(tmp_path, "ben's secret") == [other]
    assert list_runs(tmp_path, "") == [] == list_runs(tmp_path / "nowhere", "ada's secret")


def test_a_run_is_opened_by_its_id_and_by_nothing_else(tmp_path: Path, run: Run) -> None:
    assert open_run(tmp_path, run.id) == run and len(run.id) == 32
    words = set()
    for wrong in ("", "..", f"../{tmp_path.name}/{run.id}", run.id[:-1], run.id.upper(), "0" * 32, f"{run.id}\n", "\0"):
        with pytest.raises(RunRefused) as refused:
            open_run(tmp_path, wrong)
        words.add(str(refused.value))
    assert len(words) == 1  # the answer does not tell what exists


def test_a_deleted_run_is_gone(tmp_path: Path, run: Run) -> None:
    delete(run)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunRefused):
        open_run(tmp_path, run.id)


def test_a_run_that_is_going_on_is_not_deleted(run: Run) -> None:
    run.note_process(TRAIN, os.getpid())
    with pytest.raises(RunRefused, match="Cancel it first"):
        delete(run)


def test_only_whole_checkpoints_count_and_the_base_is_checkpoint_0(run: Run, plan: Plan) -> None:
    for step in (20, 100, 3):
        run.checkpoint_folder(step).mkdir(parents=True)
    run.seal(100)
    run.seal(20)
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [0, 20, 100]
    assert [checkpoint.label for checkpoint in run.checkpoints()][:2] == ["zero-shot", "checkpoint 20"]
    assert run.checkpoint_source(0) == plan.base_model
    assert run.checkpoint_source(100) == str(run.checkpoint_folder(100))
    with pytest.raises(RunRefused):
        run.checkpoint_source(3)


def test_a_run_whose_process_is_gone_is_interrupted(run: Run) -> None:
    run.note_process(TRAIN, ended_process())
    run.write_state(State(RUNNING, step=5, eta_seconds=60.0))
    progress = run.progress()
    assert (progress.state, progress.step, progress.eta_seconds, progress.over) == (INTERRUPTED, 5, None, True)


def test_a_run_whose_process_died_before_its_first_word_is_interrupted(run: Run) -> None:
    run.note_process(TRAIN, ended_process())
    assert run.progress().state == INTERRUPTED


def test_another_process_with_the_same_number_does_not_keep_a_run_alive(run: Run) -> None:
    run.note_process(TRAIN, os.getpid())
    run.write_state(State(RUNNING))
    assert run.progress().state == RUNNING
    path = run.folder / "train-process.json"
    path.write_text(f'{{"pid": {os.getpid()}, "started": 1.0}}')
    assert run.progress().state == INTERRUPTED


def test_a_zombie_does_not_keep_a_run_alive(run: Run) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run.note_process(TRAIN, process.pid)
    run.write_state(State(RUNNING))
    assert run.progress().state == RUNNING
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is dead; nobody has taken note
    assert run.progress().state == INTERRUPTED
    process.communicate()


def test_a_finished_run_stays_finished_without_its_process(run: Run) -> None:
    run.note_process(TRAIN, ended_process())
    run.write_state(State(FINISHED, step=21))
    assert run.progress().state == FINISHED


def test_curves_hold_whole_lines_only(run: Run) -> None:
    run.append_point("loss", 1, 2.5)
    run.append_point("validation", 1, 2.25)
    run.append_point("loss", 2, 2.0)
    with (run.folder / "curve.jsonl").open("a") as file:
        file.write('{"kind": "loss", "step": 3, "val')
    progress = run.progress()
    assert progress.loss_curve == ((1, 2.5), (2, 2.0)) and progress.validation_curve == ((1, 2.25),)


def test_reports_come_back_in_order_of_steps(run: Run) -> None:
    for step in (100, 0, 20):
        run.save_report({"step": step, "summary": "déjà vu"})
    assert [report["step"] for report in run.reports()] == [0, 20, 100]
    assert run.report(20) == {"step": 20, "summary": "déjà vu"} and run.report(7) is None


def test_a_quick_look_is_kept_apart_from_what_was_measured_on_the_test_chats(run: Run) -> None:
    run.save_report({"step": 20}, SAMPLED)
    assert run.measured(SAMPLED) == [20] and run.measured() == [] == run.reports() and run.report(20) is None


def test_measuring_is_told_only_while_somebody_measures(run: Run) -> None:
    run.note_measuring(200, 40, 160)
    assert run.measuring() is None
    run.note_process("measure", os.getpid())
    assert run.measuring() == (200, 40, 160, TESTED)
    run.note_measuring(200, 4, 32, SAMPLED)
    assert run.measuring() == (200, 4, 32, SAMPLED)


def test_a_log_is_read_from_its_end(run: Run) -> None:
    run.log().write_text("\n".join(f"line {number}" for number in range(100_000)))
    assert run.log_tail(2) == "line 99998\nline 99999"


def test_nothing_half_written_is_left_or_seen(run: Run) -> None:
    for step in range(50):
        run.write_state(replace(run.state(), step=step))
    assert run.state().step == 49
    assert not [path for path in run.folder.iterdir() if path.name.startswith(".")]


def test_a_folder_without_a_record_is_no_run(tmp_path: Path, run: Run) -> None:
    (tmp_path / ("0" * 32)).mkdir()
    assert list_runs(tmp_path, "ada's secret") == [run] == all_runs(tmp_path)


def test_a_run_deleted_while_runs_are_listed_is_left_out(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuning.runs.all_runs", lambda root: [Run(root / ("0" * 32)), run])
    assert list_runs(tmp_path, "ada's secret") == [run]
