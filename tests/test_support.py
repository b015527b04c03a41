"""The support score: what raises it, what lowers it, and what it cannot tell."""

from __future__ import annotations

import pytest

from dialogues.dialogue import Dialogue, Turn
from evaluation.grounding import check
from evaluation.support import Judge, Learned, of

CHAT = Dialogue(
    "bill",
    (
        Turn("Customer", "You charged me $34.90 on Friday for the kettle."),
        Turn("Agent", "Sorry about that! The refund takes 5 days and goes to your card."),
    ),
)
TRUE = "The customer was charged $34.90 on Friday for the kettle. The refund takes 5 days."


def support(summary: str, chat: Dialogue = CHAT) -> float | None:
    return Learned().support([summary], [chat])[0]


def test_what_the_chat_says_is_more_likely_than_not() -> None:
    assert (support(TRUE) or 0) > 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        TRUE.replace("$34.90", "$45.90"),
        TRUE.replace("Friday", "Monday"),
        TRUE.replace("The customer", "Leonora"),
        TRUE.replace("takes", "does not take"),
        TRUE + " They booked a holiday in the mountains with friends.",
    ],
)
def test_each_planted_error_makes_a_summary_less_likely_than_the_true_one(wrong: str) -> None:
    assert (support(wrong) or 0) < 0.7 * (support(TRUE) or 0)


def test_nothing_to_judge_is_unknown_and_never_zero() -> None:
    assert support("") is None
    assert support("...") is None
    assert support("A refund.", Dialogue("none", ())) is None


def test_a_judge_answers_in_order_and_the_same_each_time() -> None:
    judge: Judge = Learned()
    both = judge.support([TRUE, "It is cheap."], [CHAT, CHAT])
    assert (
        both
        == [support(TRUE), support("It is cheap.")]
        == [of(text, CHAT, check(text, CHAT)) for text in (TRUE, "It is cheap.")]
    )
    assert "grounding-" in judge.signature
