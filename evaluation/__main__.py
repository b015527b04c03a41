"""The command line: `python -m evaluation RUN_OR_FILE` scores predictions made anywhere, or tells what a run has measured."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dialogues.dialogue import Problem, Refused
from evaluation.bertscore import BertScore
from evaluation.comparison import compare_run
from evaluation.findings import ci, number
from evaluation.judges import JUDGES, open_judges
from evaluation.measure import Progress
from evaluation.overlap import corpus_bleu
from evaluation.predictions import (
    BASELINES,
    Pair,
    PredictionsRefused,
    read_chats,
    read_predictions,
    report_of,
    report_of_model,
    with_score,
)
from evaluation.report import Report
from evaluation.significance import Interval, mean_interval
from evaluation.support import Judge
from tuning.runs import run_at

JUDGE = f"a pretrained checker's score too (KIND is {', '.join(JUDGES)}; SOURCE a folder or a hub id); may come again"
TOGETHER = 64  # pairs that a checker is given at once, for the sake of the progress bar

Scorer = Callable[[Sequence[Pair]], list[float | None]]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when scored, 1 when refused; the reasons go to standard error."""
    given = _arguments().parse_args(arguments)
    try:
        _refuse_unwritable(given.out)
        record = _tell_run(given) if given.source.is_dir() else _tell_file(given)
        if given.out:
            given.out.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    except (Refused, OSError) as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument("source", type=Path, help="a run's folder, or a CSV, TSV, JSON or JSONL file of predictions")
    parser.add_argument("--out", type=Path, help="write the report (JSON, docs/report-schema.md) here")
    parser.add_argument("--column", action="append", default=[], metavar="ROLE=NAME", type=_named, help=_named.__doc__)
    parser.add_argument("--judge", action="append", default=[], metavar="KIND:SOURCE", help=JUDGE)
    parser.add_argument("--bertscore", metavar="SOURCE", help="BERTScore too, by the encoder in this folder or hub id")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--baseline", choices=sorted(BASELINES), help="score this instead of the file's predictions")
    instead.add_argument("--model", help="let it summarise the file's chats: bundled, a checkpoint's folder, a hub id")
    return parser


def _named(text: str) -> tuple[str, str]:
    """which column is the dialogue, prediction, summary or id, where its name does not tell"""
    role, mark, name = text.partition("=")
    if not mark or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not ROLE=NAME")
    return role, name


def _refuse_unwritable(out: Path | None) -> None:
    """Before the work, not after it."""
    if out and not out.parent.is_dir():
        raise PredictionsRefused(Problem(f"There is no folder {out.parent}.", "Make it, or choose another for --out."))
    if out and out.is_dir():
        raise PredictionsRefused(Problem(f"{out} is a folder.", "Name a file for --out."))


def _tell_file(given: argparse.Namespace) -> dict[str, Any]:
    scorers = _scorers(given)
    report, pairs = _scored(given)
    for signature, answer in scorers.items():
        report = with_score(report, signature, _answers(pairs, signature, answer))
    _print_table({name: mean_interval(report.values(name)) for name in report.results[0].scores})
    bleu = corpus_bleu([text for _, text in pairs], [example.references for example, _ in pairs])
    print(f"corpus BLEU   {'unknown' if bleu is None else number(bleu)}\n{report.signature}")
    return report.to_json()


def _scorers(given: argparse.Namespace) -> dict[str, Scorer]:
    """What else is asked for, by signature; opened before the work, so that what cannot be had is refused first."""
    scorers: dict[str, Scorer] = {judge.signature: partial(_support, judge) for judge in open_judges(given.judge)}
    if given.bertscore:
        near = BertScore(given.bertscore)
        scorers[near.signature] = partial(_near, near)
    return scorers


def _support(judge: Judge, pairs: Sequence[Pair]) -> list[float | None]:
    """In %, as the support score beside it."""
    found = judge.support([text for _, text in pairs], [example.dialogue for example, _ in pairs])
    return [None if one is None else 100 * one for one in found]


def _near(scorer: BertScore, pairs: Sequence[Pair]) -> list[float | None]:
    return scorer.scores([text for _, text in pairs], [example.references for example, _ in pairs])


def _answers(pairs: Sequence[Pair], signature: str, answer: Scorer) -> list[float | None]:
    starts = tqdm(range(0, len(pairs), TOGETHER), desc=signature, disable=None)
    return [one for start in starts for one in answer(pairs[start : start + TOGETHER])]


def _scored(given: argparse.Namespace) -> tuple[Report, list[Pair]]:
    columns, name = dict(given.column), given.source.stem
    if given.model:
        chats = read_chats(given.source, columns)
        report = report_of_model(chats, name, given.model, _bar(len(chats)))
        return report, [(chat, one.summary) for chat, one in zip(chats, report.results, strict=True)]
    if given.baseline:
        pairs = [(chat, BASELINES[given.baseline](chat.dialogue)) for chat in read_chats(given.source, columns)]
    else:
        pairs = read_predictions(given.source, columns)
    return report_of(tqdm(pairs, unit="summary", disable=None), name, given.baseline or "predictions"), pairs


def _bar(chats: int) -> Progress:
    bar = tqdm(total=chats, unit="chat", disable=None)

    def show(done: int, total: int) -> None:
        bar.update(done - bar.n)

    return show


def _tell_run(given: argparse.Namespace) -> dict[str, Any]:
    if given.judge or given.bertscore:
        reason = "A run's folder is told as it was measured, without --judge and --bertscore."
        raise PredictionsRefused(
            Problem(reason, "Let a checkpoint summarise a file: FILE --model CHECKPOINT --judge …")
        )
    comparison = compare_run(run_at(given.source))
    for checkpoint in comparison.checkpoints:
        print(f"\n{checkpoint.label}")
        _print_table(checkpoint.means)
    print("", comparison.verdict, *comparison.badges, comparison.signature, sep="\n")
    return comparison.to_json()


def _print_table(means: Mapping[str, Interval]) -> None:
    width = max([16, *(len(name) + 2 for name in means)])
    for name, one in means.items():
        shown = "unknown" if one.mean is None else number(one.mean, 2)
        spread = ci(one) if one.low is not None else ""
        print(f"{name:<{width}}{shown:>9}  {spread:<30} n = {one.n}{f', unknown {one.unknown}' if one.unknown else ''}")


if __name__ == "__main__":
    sys.exit(main())
