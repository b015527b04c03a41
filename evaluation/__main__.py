"""The command line: `python -m evaluation RUN_OR_FILE` scores predictions made anywhere, or tells what a run has measured."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dialogues.dialogue import Dialogue, Example, Problem, Refused
from dialogues.turns import read_turns
from dialogues.upload import KNOWN_AS
from evaluation.comparison import compare_run
from evaluation.findings import ci, number
from evaluation.measure import METRICS, lead3, score
from evaluation.overlap import corpus_bleu
from evaluation.report import VERSION, ExampleResult, Report, Signature
from evaluation.significance import Interval, mean_interval
from tuning.runs import Run

PREDICTION = ("prediction", "predictions", "predicted", "generated", "candidate", "hypothesis")


class PredictionsRefused(Refused):
    """The file of predictions cannot be scored; every row that stands against it is named."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when scored, 1 when refused; the reasons go to standard error."""
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument("source", type=Path, help="a run's folder, or a CSV, TSV or JSONL file of predictions")
    parser.add_argument("--out", type=Path, help="write the report (JSON) here")
    parser.add_argument("--baseline", choices=sorted(BASELINES), help="score this instead of the file's predictions")
    given = parser.parse_args(arguments)
    try:
        record = _tell_run(given.source) if given.source.is_dir() else _tell_file(given.source, given.baseline)
    except (Refused, OSError, UnicodeDecodeError) as refusal:
        print(refusal, file=sys.stderr)
        return 1
    if given.out:
        given.out.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    return 0


def longest3(dialogue: Dialogue) -> str:
    """The baseline that copies the three longest turns, in the chat's order; the earlier ones of equals."""
    by_length = sorted(range(len(dialogue.turns)), key=lambda at: -len(dialogue.turns[at].text.split()))
    return " ".join(dialogue.turns[at].text for at in sorted(by_length[:3]))


BASELINES = {"lead3": lead3, "longest3": longest3}


def read_predictions(path: Path, baseline: str | None = None) -> list[tuple[Example, str]]:
    """Each row's chat with its references, and the summary to score. Raises PredictionsRefused with every bad row.

    Columns are found by their names: a dialogue, any number of references (`summary`, `summary1`, `references` …), and
    `prediction`, which a `baseline` makes needless.
    """
    found, problems = list[tuple[Example, str]](), list[Problem]()
    for at, row in enumerate(_rows(path), 2 if path.suffix != ".jsonl" else 1):
        dialogue = Dialogue(str(_cell(row, KNOWN_AS["id"]) or at), read_turns(_cell(row, KNOWN_AS["dialogue"])))
        text = BASELINES[baseline](dialogue) if baseline else _cell(row, PREDICTION)
        if not dialogue.turns:
            problems.append(Problem("There is no chat in it.", "Give its turns in a column “dialogue”.", at))
        if not isinstance(text, str):
            problems.append(Problem("There is no prediction.", "Give it as text in a column “prediction”.", at))
        found.append((Example(dialogue, _references(row)), str(text)))
    if problems or not found:
        raise PredictionsRefused(*(problems or [Problem("The file holds no row.", "Give one chat a row.")]))
    return found


def report_of(pairs: Sequence[tuple[Example, str]], path: Path, model: str) -> Report:
    """The report of summaries made elsewhere; template and decoding are not known here and say so."""
    digest = hashlib.sha256(json.dumps([example.to_json() for example, _ in pairs]).encode()).hexdigest()[:16]
    signature = Signature(digest, path.stem, "file", len(pairs), "unknown", "unknown", METRICS, model, VERSION)
    results = [ExampleResult(example.dialogue.id, text, *score(text, example)) for example, text in pairs]
    return Report("", 0, signature, tuple(results))


def _tell_file(path: Path, baseline: str | None) -> dict[str, Any]:
    pairs = read_predictions(path, baseline)
    report = report_of(pairs, path, baseline or "predictions")
    names = list(report.results[0].scores)
    _print_table({name: mean_interval(report.values(name)) for name in names})
    bleu = corpus_bleu([text for _, text in pairs], [example.references for example, _ in pairs])
    print(f"corpus BLEU   {'unknown' if bleu is None else number(bleu)}\n{report.signature}")
    return report.to_json()


def _tell_run(folder: Path) -> dict[str, Any]:
    comparison = compare_run(Run(folder))
    for checkpoint in comparison.checkpoints:
        print(f"\n{checkpoint.label}")
        _print_table(checkpoint.means)
    print("", comparison.verdict, *comparison.badges, comparison.signature, sep="\n")
    return comparison.to_json()


def _print_table(means: Mapping[str, Interval]) -> None:
    for name, one in means.items():
        shown = "unknown" if one.mean is None else number(one.mean, 2)
        spread = ci(one) if one.low is not None else ""
        print(f"{name:<16}{shown:>9}  {spread:<30} n = {one.n}{f', unknown {one.unknown}' if one.unknown else ''}")


def _rows(path: Path) -> list[Mapping[str, Any]]:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix != ".jsonl":
        dialect = csv.excel_tab if path.suffix == ".tsv" else csv.excel
        return list(csv.DictReader(text.splitlines(keepends=True), dialect=dialect))
    rows, problems = list[Mapping[str, Any]](), list[Problem]()
    for at, line in enumerate(text.split("\n"), 1):
        try:
            rows += [dict(json.loads(line))] if line.strip() else []
        except (ValueError, TypeError) as error:
            problems.append(Problem(f"The line is no JSON object ({error}).", "Write one object a line.", at))
    if problems:
        raise PredictionsRefused(*problems)
    return rows


def _cell(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _references(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Every text in the columns named like a summary, numbered ones and lists included."""
    for known in KNOWN_AS["summary"]:
        cells = [value for name, value in row.items() if name and name.rstrip("0123456789_ ") == known]
        texts = [text for cell in cells for text in (cell if isinstance(cell, list) else [cell])]
        if found := tuple(text for text in texts if isinstance(text, str) and text.strip()):
            return found
    return ()


if __name__ == "__main__":
    sys.exit(main())
