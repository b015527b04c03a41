"""Where a checkpoint helps and where it does not: paired changes by length, by turns and by topic, each with its n."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.comparison import Comparison, Row
from evaluation.significance import Interval, intervals

SCORES = ("rougeL", "unsupported")
MOST_TOPICS = 12  # the commonest ones; a long tail of one chat each says nothing


@dataclass(frozen=True, slots=True)
class Slice:
    """Some chats of a comparison: `kind` (length, turns, topic), `name` in words, how many, and each score's paired change."""

    kind: str
    name: str
    n: int
    change: dict[str, Interval]


def slices(comparison: Comparison, step: int) -> list[Slice]:
    """The changes from zero-shot at `step` for short, middling and long chats, few and many turns, and each topic.

    A kind that the comparison does not know (no turns published, no topics) or that has one value only is left out.
    """
    rows = comparison.rows
    words = [sum(len(turn.text.split()) for turn in row.turns) for row in rows]
    named = [
        *_thirds("length", "words", words, rows, step),
        *_thirds("turns", "turns", [len(row.turns) for row in rows], rows, step),
    ]
    topics = Counter(row.topic for row in rows if row.topic).most_common(MOST_TOPICS)
    if len(topics) > 1:
        named += [_slice("topic", topic, [row for row in rows if row.topic == topic], step) for topic, _ in topics]
    return named


def _thirds(kind: str, unit: str, sizes: Sequence[int], rows: Sequence[Row], step: int) -> list[Slice]:
    """Three parts of about equal n with whole numbers as their borders; fewer where sizes are the same."""
    if len(set(sizes)) < 2 or 0 in sizes:
        return []
    first, second = (int(size) for size in np.quantile(sizes, (1 / 3, 2 / 3), method="lower"))
    borders = [(min(sizes), first), (first + 1, second), (second + 1, max(sizes))]
    found = []
    for low, high in borders:
        kept = [row for row, size in zip(rows, sizes, strict=True) if low <= size <= high]
        if kept:
            found.append(_slice(kind, f"{low} to {high} {unit}" if low < high else f"{low} {unit}", kept, step))
    return found if len(found) > 1 else []


def _slice(kind: str, name: str, rows: Sequence[Row], step: int) -> Slice:
    changes = [[row.change(step, score) for score in SCORES] for row in rows]
    table = np.array([[np.nan if value is None else value for value in line] for line in changes])
    return Slice(kind, name, len(rows), dict(zip(SCORES, intervals(table), strict=True)))
