"""The table of docs/evidence.md: `python benchmarks/evidence.py FILE... [--tuned CHECKPOINT_FOLDER]`.

FILEs are what `python -m evaluation` reads. Rows: the first three turns, the three longest, the bundled model untouched,
each `--tuned` checkpoint, and people against each other where a chat has several summaries.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dialogues.dialogue import Example
from evaluation.findings import number, signed
from evaluation.overlap import corpus_bleu
from evaluation.predictions import BASELINES, read_chats, report_of, report_of_model
from evaluation.reference_lines import human_line
from evaluation.report import Report
from evaluation.significance import Interval, holm, mean_interval, paired_difference

ZERO = "zero-shot"
SHOWN = (
    "rouge1",
    "rouge2",
    "rougeL",
    "rougeLsum",
    "rougeL_mean",
    "chrf",
    "coverage",
    "unsupported",
    "copied",
    "length",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--tuned", action="append", default=[], help="a checkpoint's folder, or any model's name")
    given = parser.parse_args()
    for path in given.files:
        show(path.stem, read_chats(path), given.tuned)


def show(name: str, chats: Sequence[Example], tuned: Sequence[str]) -> None:
    reports = {
        baseline: report_of([(chat, write(chat.dialogue)) for chat in chats], name, baseline)
        for baseline, write in BASELINES.items()
    }
    reports[ZERO] = report_of_model(chats, name, "bundled")
    reports |= {f"tuned {Path(source).name}": report_of_model(chats, name, source) for source in tuned}
    print(f"\n### {name}, n = {len(chats)}\n")
    print(f"| | {' | '.join(SHOWN)} | corpus BLEU | ROUGE-L against {ZERO}, paired |\n|{'---|' * (len(SHOWN) + 3)}")
    changes = against_zero_shot(reports)
    for row, report in reports.items():
        bleu = corpus_bleu([one.summary for one in report.results], [chat.references for chat in chats])
        cells = [cell(score, report) for score in SHOWN]
        print(
            f"| {row} | {' | '.join(cells)} | {number(bleu) if bleu is not None else '–'} | {changes.get(row, '–')} |"
        )
    if human := human_line(chats):
        cells = [number(human[score]) if score in human else "–" for score in SHOWN]
        print(f"| one person against the others | {' | '.join(cells)} | – | – |")
    print(*(f"\n`{report.signature}`" for report in reports.values()), sep="\n", flush=True)


def against_zero_shot(reports: Mapping[str, Report]) -> dict[str, str]:
    """Each row's paired change of ROUGE-L with its interval, and its p after Holm for all rows of the table."""
    others = [row for row in reports if row != ZERO]
    before = reports[ZERO].values("rougeL")
    found: list[Interval] = [paired_difference(reports[row].values("rougeL"), before) for row in others]
    corrected = holm([one.p for one in found])
    return {row: told(one, p) for row, one, p in zip(others, found, corrected, strict=True)}


def told(change: Interval, p: float | None) -> str:
    if change.low is None or change.high is None or p is None:
        return "unknown"
    return f"{signed(change)} ({number(change.low)} to {number(change.high)}), p = {p:.4f}"


def cell(score: str, report: Report) -> str:
    one = mean_interval(report.values(score))
    digits = 2 if score == "unsupported" else 1
    if one.mean is None:
        return "–"
    ends = (
        f" ({number(one.low, digits)} to {number(one.high, digits)})"
        if one.low is not None and one.high is not None
        else ""
    )
    return number(one.mean, digits) + (
        "" if score in ("rougeLsum", "rougeL_mean", "chrf", "copied", "length") else ends
    )


if __name__ == "__main__":
    main()
