"""How well the checks agree with people: `python -m benchmarks.people FILE.jsonl[.gz] [--wrong N]`.

Each line of FILE holds `dataset`, `source`, `text` and `consistent`, a person's judgement (true or false) of whether the
source bears out the text. For each data set: the area under the ROC curve (0.5 is chance) of our support score, of the
count of unsupported facts, and of what can be had without a checker, each with a 95 % bootstrap interval over sources; and
the balanced accuracy of support at 0.5, a threshold fixed on planted errors. `--wrong` prints verdicts that people contradict.
"""

from __future__ import annotations

import argparse
import gzip
import json
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
from evaluation.overlap import copying
from evaluation.support import Learned, of

RESAMPLES, SEED, THRESHOLD = 1000, 5, 0.5
PRECISION = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
Row = dict[str, Any]


def _precision(name: str) -> Callable[[Row], float]:
    return lambda row: float(PRECISION.score(row["source"], row["text"])[name].precision)


def _copied(name: str) -> Callable[[Row], float]:
    return lambda row: float(copying(row["text"], row["source"])[name] or 0.0)


def _support(row: Row) -> float:
    return of(row["text"], row["chat"], row["verdicts"]) or 0.0


CHECKS: dict[str, Callable[[Row], float]] = {
    "support": _support,
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


def tell(name: str, rows: Sequence[Row], wrong: int) -> list[float]:
    """Print one data set's table; AUROC of each of CHECKS."""
    true = np.array([row["consistent"] for row in rows])
    sources = [row["source"] for row in rows]
    print(f"\n{name}: {len(rows)} texts, {len(set(sources))} sources, {100 * true.mean():.0f} % consistent")
    values = {check: np.array([score(row) for row in rows]) for check, score in CHECKS.items()}
    for check_name, scores in values.items():
        print(f"  {check_name:<20} {interval(scores, true, sources)}")
    held = values["support"] >= THRESHOLD
    print(f"  balanced accuracy of support at {THRESHOLD}: {50 * (held[true].mean() + (~held[~true]).mean()):.1f} %")
    for row, right in zip(rows, held == true, strict=True):
        if not right and (wrong := wrong - 1) >= 0:
            flags = [(row["text"][one.start : one.end], one.reason) for one in row["verdicts"] if one.unsupported]
            print(f"    people: {'consistent' if row['consistent'] else 'not'}; {row['text'][:300]} {flags}")
    return [auroc(scores, true) for scores in values.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--wrong", type=int, default=0, help="print so many contradicted verdicts a data set")
    given = parser.parse_args()
    print(Learned.signature)
    areas = [tell(name, rows, given.wrong) for name, rows in read_rows(given.file).items()]
    print(
        "\nmean AUROC: " + ", ".join(f"{name} {area:.3f}" for name, area in zip(CHECKS, np.mean(areas, 0), strict=True))
    )


if __name__ == "__main__":
    main()
