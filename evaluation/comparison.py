"""Reports of one run become a Comparison: means, paired changes with intervals, reference lines, a verdict, rows.

    comparison = compare([run.report(0), run.report(200)], examples, "Our chats, October")
    comparison.verdict   # "Checkpoint 200 beats zero-shot by +9.8 ROUGE-L (95 % CI 8.1 to 11.4, n = 110); …"

Everything that a screen, a link or a file shows is computed here once; nothing else does arithmetic on scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from dialogues.dialogue import Example, Problem, Refused, Turn
from evaluation.findings import CheckpointScores, badges, best_step, power, spoken_of, verdict
from evaluation.reference_lines import human_line, lead3_line
from evaluation.report import ExampleResult, Report, Signature
from evaluation.significance import Interval, holm, intervals
from tuning.runs import Run

SCHEMA = 1


class ComparisonRefused(Refused):
    """These reports may not stand on one axis, or this is not a comparison."""


@dataclass(frozen=True, slots=True)
class Row:
    """One chat with its references and, by step, what every checkpoint wrote about it."""

    example_id: str
    topic: str
    turns: tuple[Turn, ...]
    references: tuple[str, ...]
    outputs: Mapping[int, ExampleResult]

    def change(self, step: int, score: str) -> float | None:
        """This chat's score at `step` minus zero-shot's, or None where one of them is unknown."""
        after, before = self.outputs[step].scores.get(score), self.outputs[0].scores.get(score)
        return None if after is None or before is None else after - before

    def tags(self, step: int) -> tuple[str, ...]:
        """What happened to this chat: improved, regressed, invention removed, invention introduced, different."""
        overlap, invented = self.change(step, "rougeL") or 0.0, self.change(step, "unsupported") or 0.0
        found = {
            "improved": overlap > 0,
            "regressed": overlap < 0,
            "invention removed": invented < 0,
            "invention introduced": invented > 0,
            "different": self.outputs[step].summary != self.outputs[0].summary,
        }
        return tuple(tag for tag, holds in found.items() if holds)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Checkpoints of one run on the same chats, or of several (`evaluation/several.py`). Plain: `from_json(c.to_json()) == c`.

    `checkpoints` by step, zero-shot first. `lead3` and `human` are means by score name: the first three turns copied
    out, and each reference against the chat's other ones (one reference fewer than a model is held against, so a
    little low for the best-of scores); `human` is empty where no chat has two. `best` is the step with the highest
    ROUGE-L among those whose interval of the change lies above 0, or None; `chosen` is the step `verdict` speaks of.
    """

    title: str
    signature: Signature
    checkpoints: tuple[CheckpointScores, ...]
    lead3: Mapping[str, float]
    human: Mapping[str, float]
    best: int | None
    chosen: int
    verdict: str
    badges: tuple[str, ...]
    rows: tuple[Row, ...]

    def checkpoint(self, step: int) -> CheckpointScores:
        """The checkpoint of that step. Raises KeyError."""
        return {checkpoint.step: checkpoint for checkpoint in self.checkpoints}[step]

    def without_chats(self) -> Comparison:
        """Numbers, summaries and references; no turn, and no verdict's reason, which may quote one."""
        return replace(self, rows=tuple(_without_chat(row) for row in self.rows))

    def numbers_only(self) -> Comparison:
        """No chat, no summary, no reference, no example id."""
        return replace(self, rows=())

    def to_json(self) -> dict[str, Any]:
        """Plain values under `"schema": 1`; the steps in a row's outputs are text, as JSON has them."""
        record = asdict(self)
        for row in record["rows"]:
            row["outputs"] = {str(step): output for step, output in row["outputs"].items()}
        return {"schema": SCHEMA, **record}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Comparison:
        """Read back `to_json`, also after a passage through JSON text. Raises ComparisonRefused."""
        try:
            if record["schema"] != SCHEMA:
                raise ValueError(f"schema {record['schema']}")
            return _read(record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"This is not a comparison that this version can read ({type(error).__name__}: {error})."
            raise ComparisonRefused(Problem(reason, "Make it again from its run.")) from error


def compare(reports: Sequence[Report], examples: Sequence[Example], title: str) -> Comparison:
    """The comparison of a run's reports on `examples`, the chats they were measured on, in the same order.

    Reports may come in any order, zero-shot (step 0) among them. The same input gives the same comparison.
    Raises ComparisonRefused with every reason why the reports cannot stand on one axis.
    """
    reports = sorted(reports, key=lambda report: report.step)
    _refuse_unlike(reports, examples)
    checkpoints = _checkpoints(reports)
    best = best_step(checkpoints)
    chosen = spoken_of(checkpoints, best)
    return Comparison(
        title=title,
        signature=reports[0].signature,
        checkpoints=checkpoints,
        lead3=lead3_line(examples),
        human=human_line(examples),
        best=best,
        chosen=chosen,
        verdict=verdict(checkpoints, best, chosen),
        badges=(*badges(reports), *power(checkpoints, chosen)),
        rows=tuple(_row(example, reports, index) for index, example in enumerate(examples)),
    )


def compare_run(run: Run) -> Comparison:
    """The comparison of everything that has been measured of a run so far, under the run's name."""
    reports = [Report.from_json(record) for record in run.reports()]
    return compare(reports, run.dataset.splits["test"], run.record.name)


def _refuse_unlike(reports: Sequence[Report], examples: Sequence[Example]) -> None:
    problems = [*_run_problems(reports), *_signature_problems(reports), *_example_problems(reports, examples)]
    if problems:
        raise ComparisonRefused(*problems)


def _run_problems(reports: Sequence[Report]) -> list[Problem]:
    if not reports:
        return [Problem("There is no report to compare.", "Wait until a checkpoint has been measured.")]
    problems, steps = [], [report.step for report in reports]
    if 0 not in steps:
        problems.append(Problem("Zero-shot (checkpoint 0) is missing.", "Measure the untouched model first."))
    if len({report.run for report in reports}) > 1:
        problems.append(Problem("The reports come from different runs.", "Compare the checkpoints of one run."))
    elif len(set(steps)) < len(steps):
        problems.append(Problem("One checkpoint has two reports.", "Give each checkpoint's report once."))
    return problems


_FIELDS = {
    "data": ("data set", "Compare only what was measured on the same chats."),
    "split": ("split", "Compare only what was measured on the same split."),
    "n": ("number of chats", "Compare only what was measured on the same chats."),
    "template": ("prompt template", "Measure them again with one template."),
    "decoding": ("decoding settings", "Measure them again with the same decoding."),
    "metrics": ("metric versions", "Press Measure now on the page of the older run."),
}


def unlike(first: Signature, other: Signature, who: str = "The reports") -> list[Problem]:
    """Everything in which two signatures differ that forbids a comparison, each said of `who` in words."""
    found = []
    for name in first.difference(other):
        words, remedy = _FIELDS[name]
        pair = f"“{_shown(first, name)}” and “{_shown(other, name)}”"
        found.append(Problem(f"{who} differ in the {words}: {pair}.", remedy, field=name))
    return found


def _signature_problems(reports: Sequence[Report]) -> list[Problem]:
    found: dict[str, Problem] = {}
    for report in reports[1:]:
        for problem in unlike(reports[0].signature, report.signature):
            found.setdefault(problem.field, problem)
    return list(found.values())


def _shown(signature: Signature, name: str) -> str:
    return f"{signature.data_name}@{signature.data}" if name == "data" else str(getattr(signature, name))


def _example_problems(reports: Sequence[Report], examples: Sequence[Example]) -> list[Problem]:
    if not examples:
        return [Problem("There is no chat to compare on.", "Give the split that was measured.")]
    ids = [example.dialogue.id for example in examples]
    if all([result.example_id for result in report.results] == ids for report in reports):
        return []
    return [Problem("The chats given are not the chats that were measured.", "Give the measured split, in its order.")]


def _checkpoints(reports: Sequence[Report]) -> tuple[CheckpointScores, ...]:
    """All means and all changes in one bootstrap, so that every interval comes from the same resamples of chats."""
    names = list(dict.fromkeys(name for report in reports for result in report.results[:1] for name in result.scores))
    values = np.array([[_known(report.values(name)) for name in names] for report in reports])  # step × score × chat
    table = np.concatenate([values, values[1:] - values[0]]).reshape(-1, values.shape[-1]).T
    found = intervals(table)
    lines = [dict(zip(names, found[at : at + len(names)], strict=True)) for at in range(0, len(found), len(names))]
    means = [{name: replace(mean, p=None) for name, mean in line.items()} for line in lines[: len(reports)]]
    changes = [{}, *_corrected(lines[len(reports) :])]
    return tuple(
        CheckpointScores(report.step, report.signature.model, mean, change)
        for report, mean, change in zip(reports, means, changes, strict=True)
    )


def _corrected(changes: Sequence[Mapping[str, Interval]]) -> list[dict[str, Interval]]:
    """The changes with each score's p made to hold for all checkpoints together."""
    adjusted = {name: holm([change[name].p for change in changes]) for name in (changes[0] if changes else ())}
    return [
        {name: replace(interval, p=adjusted[name][at]) for name, interval in change.items()}
        for at, change in enumerate(changes)
    ]


def _known(values: Sequence[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in values]


def _row(example: Example, reports: Sequence[Report], index: int) -> Row:
    outputs = {report.step: report.results[index] for report in reports}
    return Row(example.dialogue.id, example.topic, example.dialogue.turns, example.references, outputs)


def _without_chat(row: Row) -> Row:
    return replace(row, turns=(), outputs={step: _without_quotes(result) for step, result in row.outputs.items()})


def _without_quotes(result: ExampleResult) -> ExampleResult:
    return replace(result, verdicts=tuple(replace(item, turn=None, reason="") for item in result.verdicts))


def _read(record: Mapping[str, Any]) -> Comparison:
    return Comparison(
        title=str(record["title"]),
        signature=Signature(**record["signature"]),
        checkpoints=tuple(_read_checkpoint(item) for item in record["checkpoints"]),
        lead3=dict(record["lead3"]),
        human=dict(record["human"]),
        best=record["best"],
        chosen=int(record["chosen"]),
        verdict=str(record["verdict"]),
        badges=tuple(record["badges"]),
        rows=tuple(_read_row(item) for item in record["rows"]),
    )


def _read_checkpoint(record: Mapping[str, Any]) -> CheckpointScores:
    means, change = ({name: Interval(**item) for name, item in record[key].items()} for key in ("means", "change"))
    return CheckpointScores(int(record["step"]), record["model"], means, change)


def _read_row(record: Mapping[str, Any]) -> Row:
    return Row(
        example_id=record["example_id"],
        topic=record["topic"],
        turns=tuple(Turn(**turn) for turn in record["turns"]),
        references=tuple(record["references"]),
        outputs={int(step): ExampleResult.from_json(item) for step, item in record["outputs"].items()},
    )
