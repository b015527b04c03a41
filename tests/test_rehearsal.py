"""The rehearsal: two answers and more are made, scored, saved and read back before the first step, or the run ends there."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from dialogues.dialogue import Dataset, Dialogue
from prompting.catalog import DEFAULT
from prompting.model import open_tokenizer, open_weights
from prompting.source import find
from tuning.rehearsal import CHATS, answers, have_scored
from tuning.reporter import reason
from tuning.runs import RunRefused


def test_at_least_two_answers_of_the_model_are_scored_and_nothing_stays_on_the_disk(
    tiny_model: Path, chats: Dataset, tmp_path: Path
) -> None:
    import torch

    tried = chats.splits["validation"][:CHATS]
    model = open_weights(find(str(tiny_model)), torch.float32)
    asked = [DEFAULT.render(example.dialogue) for example in tried]
    said = answers(model, open_tokenizer(tiny_model), asked, 512)
    assert len(said) >= 2
    have_scored(tried, said, tmp_path / "rehearsal")
    bare = [replace(example, references=()) for example in tried]
    have_scored(bare, ["", *said[1:]], tmp_path / "rehearsal")  # an empty answer and a missing reference are no failure
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_scored_is_refused_with_what_the_scorer_said(chats: Dataset, tmp_path: Path) -> None:
    silent = replace(chats.splits["validation"][0], dialogue=Dialogue("silent", ()))
    with pytest.raises(RunRefused, match=r"could not be scored: .*There is no chat in it"):
        have_scored([silent, silent], ["A.", "B."], tmp_path / "rehearsal")
    assert list(tmp_path.iterdir()) == []


def test_scoring_that_takes_too_long_is_told_in_a_sentence_and_leaves_nothing(
    chats: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuning.rehearsal.SCORING", 0.01)
    with pytest.raises(subprocess.TimeoutExpired) as late:
        have_scored(chats.splits["validation"][:1], ["A."], tmp_path / "rehearsal")
    assert reason(late.value).startswith("Scoring a few answers took more than 0.01 seconds. Resume")
    assert list(tmp_path.iterdir()) == []
