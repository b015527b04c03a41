"""How well the checks agree with people: `python -m benchmarks.people FILE.jsonl[.gz] [--wrong N] [--judge KIND:SOURCE …]`.

Each line of FILE holds `dataset`, `source`, `text` and `consistent`, a person's judgement (true or false) of whether the
source bears out the text. For each data set: the area under the ROC curve (0.5 is chance) of our support score, of the
count of unsupported facts, and of what can be had without a checker, each with a 95 % bootstrap interval over sources; and
the balanced accuracy of support at 0.5, a threshold fixed on planted errors; and how many sentences a second each judge reads,
the chats included. `--wrong` prints verdicts that people contradict; `--judge` adds a pretrained checker (evaluation/judges.py).
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from scipy.stats import rankdata

from dialogues.dialogue import Dialogue, Turn
from dialogues.turns import read_turns
from evaluation.grounding import check, unsupported
from evaluation.judges import open_judges
from evaluation.overlap import copying
from evaluation.polarity import read
from evaluation.support import Judge, Learned

RESAMPLES, SEED, THRESHOLD = 1000, 5, 0.5
PRECISION = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
Row = dict[str, Any]


def _precision(name: str) -> Callable[[Row], float]:
    return lambda row: float(PRECISION.score(row["source"], row["text"])[name].precision)


def _copied(name: str) -> Callable[[Row], float]:
    return lambda row: float(copying(row["text"], row["source"])[name] or 0.0)


CHECKS: dict[str, Callable[[Row], float]] = {
    "unsupported facts": lambda row: -float(unsupported(row["verdicts"])),
    "fewer words": lambda row: -float(len(row["text"].split())),
    "more words": lambda row: float(len(row["text"].split())),
    "ROUGE-1 precision": _precision("rouge1"),
    "ROUGE-2 precision": _precision("rouge2"),
    "ROUGE-L precision": _precision("rougeL"),
    "extractive coverage": _copied("copied"),
    "extractive density": _copied("density"),
    "names held": lambda row: -float(sum(one.kind == "name" and one.unsupported for one in row["verdicts"])),
}


def read_rows(path: Path) -> dict[str, list[Row]]:
    """The judgements by data set, each with its chat and our verdicts."""
    by_set = defaultdict[str, list[Row]](list)
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            row["chat"] = Dialogue("", tuple(read_turns(row["source"])) or (Turn("", row["source"]),))
            row["verdicts"] = check(row["text"], row["chat"])
            by_set[row["dataset"]].append(row)
    return by_set


def auroc(scores: np.ndarray, true: np.ndarray) -> float:
    """The chance that a text people call consistent scores above one they do not; ties count half."""
    ranks, hits = rankdata(scores), int(true.sum())
    return float((ranks[true].sum() - hits * (hits + 1) / 2) / (hits * (len(true) - hits)))


def interval(scores: np.ndarray, true: np.ndarray, sources: Sequence[str]) -> str:
    """AUROC with its 95 % interval: whole sources are drawn, since texts about one source are alike."""
    groups = [np.flatnonzero(np.array(sources) == source) for source in dict.fromkeys(sources)]
    rng, drawn = np.random.default_rng(SEED), []
    for _ in range(RESAMPLES):
        rows = np.concatenate([groups[at] for at in rng.integers(len(groups), size=len(groups))])
        if 0 < true[rows].sum() < len(rows):
            drawn.append(auroc(scores[rows], true[rows]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{auroc(scores, true):.3f} ({low:.2f}-{high:.2f})"


def judged(judge: Judge, rows: Sequence[Row]) -> np.ndarray:
    """What a judge says of each row, 0 where it cannot tell; prints its speed."""
    chats = [Dialogue("timed", row["chat"].turns) for row in rows]  # by another id, so that no cache knows them yet
    started = time.perf_counter()
    found = judge.support([row["text"] for row in rows], chats)
    seconds, sentences = time.perf_counter() - started, sum(len(read(row["text"])) for row in rows)
    print(f"  {judge.signature}: {sentences} sentences in {seconds:.1f} s, {sentences / seconds:.0f} a second")
    return np.array([score or 0.0 for score in found])


def tell(name: str, rows: Sequence[Row], wrong: int, judges: Sequence[Judge]) -> dict[str, float]:
    """Print one data set's table; the AUROC of each judge and of each of CHECKS."""
    true = np.array([row["consistent"] for row in rows])
    sources = [row["source"] for row in rows]
    print(f"\n{name}: {len(rows)} texts, {len(set(sources))} sources, {100 * true.mean():.0f} % consistent")
    values = {judge.signature: judged(judge, rows) for judge in judges}
    values |= {check: np.array([score(row) for row in rows]) for check, score in CHECKS.items()}
    for check_name, scores in values.items():
        print(f"  {check_name:<24} {interval(scores, true, sources)}")
    held = values[Learned.signature] >= THRESHOLD
    print(f"  balanced accuracy of support at {THRESHOLD}: {50 * (held[true].mean() + (~held[~true]).mean()):.1f} %")
    for row, right in zip(rows, held == true, strict=True):
        if not right and (wrong := wrong - 1) >= 0:
            flags = [(row["text"][one.start : one.end], one.reason) for one in row["verdicts"] if one.unsupported]
            print(f"    people: {'consistent' if row['consistent'] else 'not'}; {row['text'][:300]} {flags}")
    return {check_name: auroc(scores, true) for check_name, scores in values.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--wrong", type=int, default=0, help="print so many contradicted verdicts a data set")
    parser.add_argument("--judge", action="append", default=[], metavar="KIND:SOURCE", help="a pretrained checker too")
    given = parser.parse_args()
    judges = [Learned(), *open_judges(given.judge)]
    areas = [tell(name, rows, given.wrong, judges) for name, rows in read_rows(given.file).items()]
    print("\nmean AUROC: " + ", ".join(f"{name} {np.mean([one[name] for one in areas]):.3f}" for name in areas[0]))


if __name__ == "__main__":
    main()
