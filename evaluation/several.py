"""Several runs on the same chats become one comparison: their checkpoints side by side, and which run does better.

    both = together([compare_run(full), compare_run(lora)])
    both.verdict   # "Run 2, checkpoint 200 beats zero-shot by +9.8 …. Run 2, checkpoint 200 beats run 1, checkpoint 62 by …"

It is a Comparison like any other, so that every screen, link and file shows it; `findings.RUN` says how a checkpoint is
numbered in it. What is a change stays a change from zero-shot, the first run's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from dialogues.dialogue import Dialogue, Example, Problem
from evaluation.comparison import Comparison, ComparisonRefused, Row, compare, unlike
from evaluation.findings import RUN, CheckpointScores, best_step, by_run, claim, spoken_of
from evaluation.report import Report
from evaluation.significance import Interval, holm, intervals

MOST = 4  # runs in one comparison: as many curves as an eye follows
DUEL = ("rougeL", "unsupported")
FLATTERED = "Runs are held against each other at the checkpoint where each does best on these chats, which flatters all of them a little."


def together(comparisons: Sequence[Comparison]) -> Comparison:
    """One comparison of one to four runs' comparisons, in their order; one alone comes back as it is.

    A zero-shot of the same weights stands in it once. Raises ComparisonRefused with every difference between test sets,
    templates, decodings and metrics, and between which runs.
    """
    if len(comparisons) == 1:
        return comparisons[0]
    _refuse(comparisons)
    whole = compare(list(_reports(comparisons)), _examples(comparisons[0]), _title(comparisons))
    verdict = " ".join([whole.verdict, *_duels(whole)])
    return replace(whole, verdict=verdict, badges=(*whole.badges, *_origins(comparisons), FLATTERED))


def beside(comparison: Comparison, step: int) -> list[int]:
    """The checkpoints to read beside zero-shot when `step` is looked at: it, and of each other run the best, run by run."""
    own = step // RUN
    return [step if run == own else _peak(points) for run, points in by_run(comparison.checkpoints).items()]


def _refuse(comparisons: Sequence[Comparison]) -> None:
    if not 1 <= len(comparisons) <= MOST:
        raise ComparisonRefused(Problem(f"{len(comparisons)} runs were chosen.", f"Choose one to {MOST}.", field="run"))
    first = comparisons[0]
    problems = [
        problem
        for at, other in enumerate(comparisons[1:], 2)
        for problem in unlike(first.signature, other.signature, f"Run 1 “{first.title}” and run {at} “{other.title}”")
    ]
    if problems:
        raise ComparisonRefused(*problems)


def _reports(comparisons: Sequence[Comparison]) -> Iterator[Report]:
    """Every checkpoint's report under its number among several; zero-shot again only where another model's weights ran."""
    first = comparisons[0]
    yield _report(first, 0, 0)
    for number, one in enumerate(comparisons, 1):
        for at in one.checkpoints:
            if at.step or at.model != first.checkpoint(0).model:
                yield _report(one, at.step, number)


def _report(comparison: Comparison, step: int, number: int) -> Report:
    signature = replace(comparison.signature, model=comparison.checkpoint(step).model)
    return Report("several", number * RUN + step, signature, tuple(row.outputs[step] for row in comparison.rows))


def _examples(comparison: Comparison) -> list[Example]:
    return [Example(Dialogue(row.example_id, row.turns), row.references, row.topic, {}) for row in comparison.rows]


def _title(comparisons: Sequence[Comparison]) -> str:
    return " · ".join(f"Run {number}: {one.title}" for number, one in enumerate(comparisons, 1))


def _peak(points: Sequence[CheckpointScores]) -> int:
    return spoken_of(points, best_step(points))


def _duels(whole: Comparison) -> list[str]:
    """The checkpoint of the verdict against the best one of each other run: a sentence each, p corrected for all of them."""
    leader = whole.checkpoint(whole.chosen)
    rivals = [step for step in beside(whole, leader.step) if step not in (0, leader.step)]
    if not rivals or not leader.step:
        return []
    gaps = [[_gap(row, leader.step, rival, score) for score in DUEL for rival in rivals] for row in whole.rows]
    found = intervals(np.array(gaps, dtype=float))
    changes = dict(zip(DUEL, (_corrected(found[: len(rivals)]), _corrected(found[len(rivals) :])), strict=True))
    return [
        claim(whole.checkpoint(rival), replace(leader, change={score: changes[score][at] for score in DUEL}))
        for at, rival in enumerate(rivals)
    ]


def _gap(row: Row, step: int, other: int, score: str) -> float:
    this, that = (row.outputs[at].scores.get(score) for at in (step, other))
    return np.nan if this is None or that is None else this - that


def _corrected(found: Sequence[Interval]) -> list[Interval]:
    return [replace(one, p=p) for one, p in zip(found, holm([one.p for one in found]), strict=True)]


def _origins(comparisons: Sequence[Comparison]) -> list[str]:
    """A sentence for each run that started from other weights than the first, against whose zero-shot it is held."""
    base = comparisons[0].checkpoint(0).model
    models = [one.checkpoint(0).model for one in comparisons]
    return [
        f"Run {number} started from {model}; every change is from zero-shot of run 1, {base}."
        for number, model in enumerate(models, 1)
        if model != base
    ]
