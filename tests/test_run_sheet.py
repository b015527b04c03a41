"""The run screen: what it says of a run is so, in every state, and text from outside stays text."""

from __future__ import annotations

import os
import re
import time
from html import escape
from pathlib import Path

import pytest

from dialogues.dialogue import Dataset
from tuning import line
from tuning.plan import propose
from tuning.runs import CANCELLED, FAILED, FINISHED, RUNNING, SAMPLED, TESTED, TRAIN, WAITS, Run, State, create
from ui.run_sheet import figures_html, points_html, state_html


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path, chats: Dataset) -> Run:
    plan = propose(chats, str(tiny_model), "full", "quick", precision="fp32")
    return create(tmp_path, plan, chats, "<b>Ada</b>", "owner")


def shown(run: Run, state: State) -> str:
    run.write_state(state)
    return state_html(run, run.progress(), None, None)


def test_a_run_in_line_tells_its_place_and_when_it_starts(run: Run) -> None:
    html = state_html(run, run.progress(), line.Place(3, 600.0), None)
    assert "place 3 in line · starts in about 10 minutes" in html and "starts by itself" in html
    assert "start unknown" in state_html(run, run.progress(), line.Place(1, None), None)
    assert "<b>Ada" not in html and "&lt;b&gt;Ada" in html


def test_a_run_in_line_tells_what_it_waits_for_where_that_is_not_its_turn(run: Run) -> None:
    assert WAITS not in shown(run, State(message=WAITS))
    message = "Waits for the Ray cluster at <b>, which does not answer (OSError)."
    run.write_state(State(message=message))
    assert escape(message) in state_html(run, run.progress(), line.Place(1, None), None)


def test_whoever_may_resume_is_told_from_where_and_whoever_may_not_is_told_why(run: Run) -> None:
    assert "starts again from the beginning" in shown(run, State(CANCELLED))
    run.checkpoint_folder(5).mkdir(parents=True)
    (run.checkpoint_folder(5) / "trainer_state.json").write_text("{}")
    run.seal(5)
    assert "goes on from checkpoint 5" in shown(run, State(FAILED, message="The disk is full."))
    assert "cannot be resumed. It would end the same way" in shown(
        run, State(FAILED, no_resume="It would end the same way again.")
    )
    run.note_process(TRAIN, os.getpid())
    ending = shown(run, State(CANCELLED))
    assert "just ending; then it can be resumed" in ending and "cannot" not in ending
    assert "esume" not in shown(run, State(FINISHED, message="Finished."))


def test_a_run_that_hangs_is_told_from_one_that_works(run: Run) -> None:
    run.note_process(TRAIN, os.getpid())
    assert "said nothing" not in shown(run, State(RUNNING, updated=time.time() - 30))
    assert "said nothing for 7 minutes" in shown(run, State(RUNNING, updated=time.time() - 7 * 60 - 5))


def test_figures_that_are_unknown_are_a_dash_and_never_a_zero(run: Run) -> None:
    assert figures_html(run.progress()) == ""
    run.append_point("loss", 1, 2.5)
    html = figures_html(run.progress())
    assert "2.50" in html and "–" in html and "0.00" not in html and "None" not in html


def test_each_checkpoint_stands_with_its_quick_scores_and_their_intervals_or_waits_for_them(
    run: Run, chats: Dataset, tiny_model: Path
) -> None:
    from evaluation.measure import measure
    from prompting.model import Decoding, load

    assert "looked at on a few validation chats" in points_html(run, [0, 5], {}, 0)
    report = measure(load(str(tiny_model)), chats, "test", run.plan.prompt, Decoding(8), run.id, 0)
    run.save_report(report.to_json(), SAMPLED)
    html = points_html(run, [0, 5], run.written(SAMPLED), 0)
    assert html.count("<tr") == 3 and "zero-shot" in html and "not measured yet" in html and "None" not in html
    assert re.search(r"\d\.\d <span[^>]*>\d+\.\d–\d+\.\d<", html), "a mean and from where to where it may lie"
    assert "the same 7 validation chats, with 95 % intervals" in html and "0 of 2 are measured" in html
    run.save_report({**report.to_json(), "results": report.to_json()["results"][:3]}, SAMPLED)
    assert "the same 3 validation chats" in points_html(run, [0, 5], run.written(SAMPLED), 0), "made again, read again"


def test_where_no_chats_were_set_aside_the_quick_look_is_said_to_be_missing(run: Run, chats: Dataset) -> None:
    from conftest import Scripted

    from evaluation.measure import measure
    from prompting.model import Decoding

    bare = Dataset(chats.name, {**chats.splits, "validation": ()})
    run.save_report(measure(Scripted("x", {}), bare, "validation", run.plan.prompt, Decoding()).to_json(), SAMPLED)
    html = points_html(run, [0], run.written(SAMPLED), 1)
    assert "No chats were set aside" in html and "unknown" in html and "1 of 1 are measured" in html


def test_what_is_being_measured_is_told_with_the_chats_it_is_measured_on(run: Run) -> None:
    for on, which in ((SAMPLED, "validation"), (TESTED, "test")):
        assert f"3 of 9 {which} chats" in state_html(run, run.progress(), None, (5, 3, 9, on))
