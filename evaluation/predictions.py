"""Summaries made anywhere become a Report: those in a file, those of a baseline, or those that a model writes now.

    report_of(read_predictions(Path("outputs.csv")), "outputs", "predictions")
    report_of_model(read_chats(Path("chats.csv")), "chats", "bundled")

A file is read as an upload is (dialogues/upload.py), but every row counts: where one cannot be scored, the file is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from dialogues.dialogue import Dataset, Dialogue, Example, Problem, Refused
from dialogues.turns import HALF
from dialogues.upload import KNOWN_AS, Row, UploadRefused, find_columns, read_example, read_rows, unfit
from evaluation.measure import METRICS, SPLIT, Progress, lead3, measure, score
from evaluation.report import VERSION, ExampleResult, Report, Signature
from prompting.catalog import DEFAULT
from prompting.model import Decoding, load

PREDICTION = (
    *("prediction", "predictions", "predicted", "predicted_summary", "generated", "generated_summary"),
    *("candidate", "candidates", "hypothesis", "hypotheses", "completion", "response"),
)
UNKNOWN = "unknown"  # template and decoding of summaries that were made elsewhere

Pair = tuple[Example, str]
T = TypeVar("T")


class PredictionsRefused(Refused):
    """The file cannot be scored; every row that stands against it is named."""


def read_predictions(path: Path, columns: Mapping[str, str] | None = None) -> list[Pair]:
    """Each row's chat with its references (as many as it has, none too), and the summary to score.

    `columns` overrides the guess, such as `{"prediction": "Model output"}`. Raises PredictionsRefused or UploadRefused.
    """
    return _every_row(path, columns or {}, ("dialogue", "prediction"), _pair)


def read_chats(path: Path, columns: Mapping[str, str] | None = None) -> list[Example]:
    """The chats of the same files, for which a prediction is not needed."""
    return _every_row(path, columns or {}, ("dialogue",), _example)


def longest3(dialogue: Dialogue) -> str:
    """The baseline that copies the three longest turns, in the chat's order; the earlier ones of equals."""
    by_length = sorted(range(len(dialogue.turns)), key=lambda at: -len(dialogue.turns[at].text.split()))
    return " ".join(dialogue.turns[at].text for at in sorted(by_length[:3]))


BASELINES: Mapping[str, Callable[[Dialogue], str]] = {"lead3": lead3, "longest3": longest3}


def report_of(pairs: Iterable[Pair], name: str, model: str) -> Report:
    """The report of given summaries of the data set `name`; what made them is called `model`."""
    taken, results = list[Example](), list[ExampleResult]()
    for example, text in pairs:
        taken.append(example)
        results.append(ExampleResult(example.dialogue.id, text, *score(text, example)))
    digest = _dataset(name, taken).digest
    signature = Signature(digest, name, SPLIT, len(taken), UNKNOWN, UNKNOWN, METRICS, model, VERSION)
    return Report("", 0, signature, tuple(results))


def report_of_model(examples: Sequence[Example], name: str, model: str, progress: Progress | None = None) -> Report:
    """Let a model (`bundled`, a folder, a hub id) summarise the chats with the first template, greedily, and score that."""
    return measure(load(model), _dataset(name, examples), SPLIT, DEFAULT, Decoding(), progress=progress)


def with_score(report: Report, signature: str, values: Sequence[float | None]) -> Report:
    """The report with one more score for each summary, in order; it goes by its own signature, which joins the report's."""
    results = [
        replace(result, scores={**result.scores, signature: value})
        for result, value in zip(report.results, values, strict=True)
    ]
    metrics = f"{report.signature.metrics}|{signature}"
    return replace(report, signature=replace(report.signature, metrics=metrics), results=tuple(results))


def _dataset(name: str, examples: Sequence[Example]) -> Dataset:
    return Dataset(name, {"train": (), "validation": (), "test": tuple(examples)})


def _every_row(
    path: Path, chosen: Mapping[str, str], required: Sequence[str], take: Callable[[Row, dict[str, list[str]], str], T]
) -> list[T]:
    rows, problems, _ = read_rows(path, path.name)
    found = find_columns(rows, chosen, {**KNOWN_AS, "prediction": PREDICTION}, required)
    found["summary"] = [name for name in found.get("summary", ()) if name not in found.get("prediction", ())]
    taken = list[T]()
    for row in rows:
        try:
            taken.append(take(row, found, path.name))
        except Refused as refusal:
            problems.extend(refusal.problems)
    if problems:
        raise PredictionsRefused(*sorted(problems, key=lambda problem: problem.row or 0))
    return taken


def _example(row: Row, columns: Mapping[str, list[str]], name: str) -> Example:
    return read_example(row, columns, name, required=(), fewest=1)[1]


def _pair(row: Row, columns: Mapping[str, list[str]], name: str) -> Pair:
    """Raises PredictionsRefused with what is wrong with the chat and with the prediction together."""
    (column,), problems = columns["prediction"], list[Problem]()
    text = row.cells.get(column)
    if isinstance(text, str):
        problems += unfit(text, row.number, column)
    else:
        remedy = "Give it as text; leave the text empty where the model said nothing."
        problems.append(Problem("There is no prediction.", remedy, row.number, column))
    try:
        example = _example(row, columns, name)
    except UploadRefused as refusal:
        raise PredictionsRefused(*refusal.problems, *problems) from refusal
    if problems:
        raise PredictionsRefused(*problems)
    return example, HALF.sub("\ufffd", str(text))
