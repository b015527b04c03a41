"""How likely the chat bears out a whole summary: five signals of the grounding check, weighed by what planted errors taught."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from dialogues.dialogue import Dialogue
from evaluation.alignment import align
from evaluation.denial import MODALITY, NEGATION, OPPOSITE
from evaluation.evidence import index
from evaluation.grounding import GROUNDING, NAME, check
from evaluation.mentions import AMOUNT, DATE, ID, NUMBER
from evaluation.polarity import Sentence, read
from evaluation.report import Verdict

SIGNALS = ("best", "lean", "name", "value", "denial")
KINDS = {"name": {NAME}, "value": {NUMBER, AMOUNT, DATE, ID}, "denial": {NEGATION, MODALITY, OPPOSITE}}
SUPPORT = f"support-2+{GROUNDING}"  # part of every signature
MOST = 2  # verdicts of one sort that count in a sentence
# By `python -m benchmarks.support`, on errors planted in the summaries of the shipped training chats and on nothing else.
WEIGHTS, BIAS = (1.60, 1.21, -2.95, -3.44, -1.90), 0.20


class Judge(Protocol):
    """The seam: any checker that says how well chats bear out summaries. `signature` goes beside every score of it."""

    @property
    def signature(self) -> str: ...

    def support(self, summaries: Sequence[str], dialogues: Sequence[Dialogue]) -> list[float | None]:
        """One number in [0, 1] a pair, in order; None where it cannot be told, as for an empty summary."""


class Learned:
    """The bundled judge. 0.5 is where errors and true sentences, equally many, were as likely as each other."""

    signature = SUPPORT

    def support(self, summaries: Sequence[str], dialogues: Sequence[Dialogue]) -> list[float | None]:
        """See Judge. All sentences must hold, so theirs are multiplied."""
        return [
            of(summary, dialogue, check(summary, dialogue))
            for summary, dialogue in zip(summaries, dialogues, strict=True)
        ]


def of(summary: str, dialogue: Dialogue, verdicts: Sequence[Verdict]) -> float | None:
    """The support of a summary whose `check` is at hand; None for one without a word or a chat without a turn."""
    sentences = read(summary)
    if not sentences or not dialogue.turns:
        return None
    return math.prod(_sigmoid(signals(sentence, dialogue, verdicts)) for sentence in sentences)


def signals(sentence: Sentence, dialogue: Dialogue, verdicts: Sequence[Verdict]) -> tuple[float, ...]:
    """SIGNALS of one sentence: its share in one turn, how far another said it, and unsupported facts by sort."""
    aligned = align(sentence, index(dialogue))
    wrong = [one.kind for one in verdicts if one.unsupported and sentence.start <= one.start < sentence.end]
    counts = (float(min(MOST, sum(kind in kinds for kind in wrong))) for kinds in KINDS.values())
    return (aligned.best, min(0.0, aligned.lean), *counts)


def _sigmoid(values: Sequence[float]) -> float:
    return 1 / (1 + math.exp(-BIAS - sum(weight * value for weight, value in zip(WEIGHTS, values, strict=True))))
