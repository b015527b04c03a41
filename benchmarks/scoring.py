"""How fast summaries are scored, beside rouge_score: `python benchmarks/scoring.py [--size 10000] [--rounds 5]`.

Texts are made from the sample chats that ship: each summary is a reference with words dropped and repeated. Three parts:
ROUGE-1/2/L/Lsum with a 1,000-fold bootstrap, ours and rouge_score's with its BootstrapAggregator after each other in every
round, in one process, in CPU-seconds, stems forgotten before each round, results compared; the grounding check, where
chats come again and where each summary has a chat of its own; and every score of 20 checkpoints on one set of chats, the
way a run is measured. The last two forget all chats and texts before each round.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.scoring import BootstrapAggregator
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dialogues.dialogue import SPLITS, Dataset, Dialogue, Example
from evaluation import stems
from evaluation.grounding import check
from evaluation.measure import score_all
from evaluation.reference_lines import forget
from evaluation.rouge import ROUGE_SCORES, one_sentence_a_line
from evaluation.rouge_many import rouge_many
from evaluation.significance import Interval, intervals

SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "chats"
CHECKPOINTS, RESAMPLES = 20, 1000

Pair = tuple[str, str]  # summary, reference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=10_000, help="summaries in each part")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    data = Dataset.load(SHIPPED)
    chats = [example for split in SPLITS for example in data.splits[split]]
    rouge_part(given.size, given.rounds, chats)
    grounding_part(given.size, given.rounds, chats)
    checkpoints_part(given.size // CHECKPOINTS, given.rounds, chats)


def varied(text: str, rng: random.Random) -> str:
    """The text with a tenth of its words dropped and a tenth said in place of others."""
    words = text.split()
    return " ".join(rng.choice(words) if rng.random() < 0.1 else word for word in words if rng.random() < 0.9)


def rouge_part(size: int, rounds: int, chats: Sequence[Example]) -> None:
    rng = random.Random(0)
    references = [reference for example in chats for reference in example.references]
    pairs = [(varied(text, rng), text) for text in islice(cycle(references), size)]
    taken: dict[str, list[float]] = {"theirs": [], "ours": []}
    stems.porter()  # nltk is imported before the clock runs, for both
    for _ in tqdm(range(rounds), "rounds", disable=None):
        stems.stem.cache_clear()
        seconds, expected = timed(lambda: theirs(pairs))
        taken["theirs"].append(seconds)
        seconds, found = timed(lambda: ours(pairs))
        taken["ours"].append(seconds)
    ratios = sorted(one / other for one, other in zip(taken["theirs"], taken["ours"], strict=True))
    print(
        f"\nROUGE-1/2/L/Lsum of {size:,} summaries and a {RESAMPLES:,}-fold bootstrap, {rounds} rounds, CPU-seconds\n"
    )
    print("| way | seconds (smallest to largest) | times as fast |\n|---|---|---|")
    print(f"| rouge_score 0.1.2 and its BootstrapAggregator | {spread(taken['theirs'])} | 1 |")
    print(f"| ours | {spread(taken['ours'], 3)} | {median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f}) |")
    print(f"\nLargest difference: {largest_difference(pairs, expected[0], *found):.1e}")


def theirs(pairs: Sequence[Pair]) -> tuple[list[Any], dict[str, Any]]:
    """Each pair's scores, and their aggregate by score."""
    scorer, aggregator = RougeScorer(list(ROUGE_SCORES), use_stemmer=True), BootstrapAggregator(n_samples=RESAMPLES)
    scores = [scorer.score(one_sentence_a_line(reference), one_sentence_a_line(text)) for text, reference in pairs]
    for one in scores:
        aggregator.add_scores(one)
    return scores, aggregator.aggregate()


def ours(pairs: Sequence[Pair]) -> tuple[Any, list[Interval]]:
    """(pairs × ROUGE_SCORES), and the interval of each score."""
    table = rouge_many([text for text, _ in pairs], [[reference] for _, reference in pairs])[:, : len(ROUGE_SCORES)]
    return table, intervals(table, resamples=RESAMPLES)


def largest_difference(pairs: Sequence[Pair], scores: Sequence[Any], table: Any, found: Sequence[Interval]) -> float:
    """Between any score, and between any end of an interval where their aggregator is given the resamples that ours drew."""
    expected = np.array([[100 * one[name].fmeasure for name in ROUGE_SCORES] for one in scores])
    aggregator = BootstrapAggregator(n_samples=RESAMPLES)
    for one in scores:
        aggregator.add_scores(one)
    drawn = (
        draw
        for _ in ROUGE_SCORES
        for rng in [np.random.default_rng(0)]
        for draw in (rng.integers(0, len(pairs), len(pairs)) for _ in range(RESAMPLES))
    )
    with patch("numpy.random.choice", lambda *_, **__: next(drawn)):
        aggregate = aggregator.aggregate()
    ends = [
        abs(100 * getattr(aggregate[name], end).fmeasure - (getattr(interval, end) or 0.0))
        for name, interval in zip(ROUGE_SCORES, found, strict=True)
        for end in ("low", "high")
    ]
    return max(float(np.abs(expected - table).max()), *ends)


def grounding_part(size: int, rounds: int, chats: Sequence[Example]) -> None:
    rng = random.Random(1)
    again = [(varied(example.references[0], rng), example.dialogue) for example in islice(cycle(chats), size)]
    apart = [(text, replace(chat, id=str(at))) for at, (text, chat) in enumerate(again)]
    words = np.mean([sum(len(turn.text.split()) for turn in chat.turns) for _, chat in again])
    for of, work in ((f"{len(chats)} chats", again), ("as many chats", apart)):
        seconds = forgetful(rounds, partial(grounded, work))
        print(f"\nGrounding of {size:,} summaries of {of} of {words:.0f} words: {spread(seconds)} CPU-seconds")


def grounded(work: Sequence[tuple[str, Dialogue]]) -> None:
    for one in tqdm(work, "grounding", disable=None):
        check(*one)


def checkpoints_part(size: int, rounds: int, chats: Sequence[Example]) -> None:
    rng = random.Random(2)
    test = list(islice(cycle(chats), size))
    work = [[varied(example.references[0], rng) for example in test] for _ in range(CHECKPOINTS)]
    seconds = forgetful(rounds, lambda: [score_all(texts, test) for texts in tqdm(work, "checkpoints", disable=None)])
    print(f"Every score of {CHECKPOINTS} checkpoints × {size:,} chats: {spread(seconds)} CPU-seconds")


def forgetful(rounds: int, work: Callable[[], Any]) -> list[float]:
    """Seconds of each round; what was kept of chats and texts is thrown away before it."""
    seconds = []
    for _ in range(rounds):
        forget()
        seconds.append(timed(work)[0])
    return seconds


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    done = work()
    return time.process_time() - began, done


def spread(seconds: Sequence[float], digits: int = 1) -> str:
    return f"{median(seconds):.{digits}f} ({min(seconds):.{digits}f} to {max(seconds):.{digits}f})"


if __name__ == "__main__":
    main()
