"""The forecast: what a person is told before Start, in numbers and in words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from dialogues.dialogue import Dataset, Dialogue, Turn
from tuning.forecast import START_UP, forecast, in_words, time_step
from tuning.plan import Plan, propose


@pytest.fixture
def plan(chats: Dataset, tiny_model: Path) -> Plan:
    return propose(chats, str(tiny_model), "full", "quick", precision="fp32")


def test_a_small_run_fits_and_is_soon_over(plan: Plan, chats: Dataset) -> None:
    known = forecast(plan, chats, free_bytes=8 * 10**9)
    assert (known.steps, known.epochs, known.checkpoints, known.pairs) == (21, 3.0, (5, 10, 16, 21), 56)
    assert known.memory == "fits" and known.cut == 0 and known.seconds and known.seconds < 60


@pytest.mark.parametrize(("free", "words"), [(10**9, "tight"), (5 * 10**8, "will not fit")])
def test_scarce_memory_is_told_with_what_to_do(plan: Plan, chats: Dataset, free: int, words: str) -> None:
    known = forecast(plan, chats, free_bytes=free)
    assert known.memory == words
    assert any(words in sentence and sentence.count(".") >= 2 for sentence in known.consequences)


def test_lora_needs_less_memory_than_full_tuning(chats: Dataset) -> None:
    sizes = [
        forecast(propose(chats, "google/flan-t5-large", method), chats).memory_bytes or 0 for method in ("lora", "full")
    ]
    assert sizes[0] < sizes[1] / 1.5


def test_what_cannot_be_known_before_the_model_is_here_is_unknown(chats: Dataset) -> None:
    known = forecast(propose(chats, "somebody/some-t5"), chats)
    assert (known.parameters, known.memory, known.seconds, known.cut, known.time) == (None, None, None, None, "unknown")
    assert sum("unknown" in sentence for sentence in known.consequences) == 3


def test_the_share_of_chats_that_are_cut_is_told(plan: Plan, chats: Dataset) -> None:
    long = replace(chats.splits["train"][0], dialogue=Dialogue("long", (Turn("Customer", "Hello there. " * 400),)))
    known = forecast(plan, Dataset("long", {**chats.splits, "train": (*chats.splits["train"][:27], long)}))
    assert known.cut == pytest.approx(1 / 35)
    assert any("3% of the chats are longer than the 512 tokens" in sentence for sentence in known.consequences)


def test_every_consequence_is_a_plain_sentence(plan: Plan, chats: Dataset) -> None:
    for method in ("full", "lora"):
        for sentence in forecast(replace(plan, method=method, precision="bf16"), chats).consequences:
            assert sentence[0].isupper() or sentence[0].isdigit()
            assert sentence.endswith(".") and "None" not in sentence


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(20, "less than a minute"), (75, "about a minute"), (200, "about 3 minutes"), (1400, "about 25 minutes"),
     (9000, "about 2 hours"), (200_000, "about 2 days")],
)  # fmt: skip
def test_time_is_told_no_finer_than_it_is_known(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_the_time_comes_from_steps_timed_on_these_chats_and_says_so(plan: Plan, chats: Dataset) -> None:
    guessed = forecast(plan, chats)
    assert not guessed.timed and any("by an estimate from its size" in words for words in guessed.consequences)
    step = time_step(plan, chats)
    known = forecast(plan, chats)
    assert step and known.timed and known.seconds == pytest.approx(START_UP + (plan.steps + 5 / 3) * step)
    assert any("by a few steps timed on these chats" in words for words in known.consequences)
    assert forecast(replace(plan, steps=2000), chats).timed, "more steps of the same kind are not timed again"
    for other in (replace(plan, batch_size=4), replace(plan, precision="bf16"), replace(plan, method="lora")):
        assert not forecast(other, chats).timed
        assert (time_step(other, chats) or 0) > 0


def test_steps_are_timed_again_after_a_while_because_a_busy_machine_may_be_free_by_then(
    plan: Plan, chats: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = time_step(plan, chats)
    assert time_step(plan, chats) == once
    monkeypatch.setattr("tuning.forecast.FRESH", 0.0)
    assert time_step(plan, chats) != once


def test_steps_are_timed_once_for_all_who_ask_at_the_same_time(plan: Plan, chats: Dataset) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: time_step(replace(plan, batch_size=2), chats), range(4)))) == 1


def test_a_longer_chat_takes_a_longer_step(plan: Plan, chats: Dataset) -> None:
    long = [replace(e, dialogue=Dialogue(e.dialogue.id, e.dialogue.turns * 8)) for e in chats.splits["train"]]
    slower = time_step(plan, Dataset("long", {**chats.splits, "train": tuple(long)}))
    assert slower and slower > (time_step(plan, chats) or slower)


def test_a_model_that_is_not_here_or_too_large_to_load_at_leisure_is_not_timed(plan: Plan, chats: Dataset) -> None:
    for name in ("somebody/some-t5", "google/flan-t5-large", "google/flan-t5-small"):
        assert time_step(replace(plan, base_model=name), chats) is None
    assert not forecast(replace(plan, base_model="google/flan-t5-large"), chats).timed


def test_steps_that_may_not_fit_into_the_free_memory_or_cannot_be_made_are_not_timed(
    plan: Plan, chats: Dataset
) -> None:
    assert time_step(replace(plan, batch_size=10**8), chats) is None
    assert time_step(replace(plan, batch_size=3, precision="fp8"), chats) is None
