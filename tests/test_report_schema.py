"""The tables of docs/report-schema.md say exactly what a report and a comparison hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import make_example, script_reports

from dialogues.dialogue import Dataset, Dialogue, Example
from evaluation.comparison import Comparison, compare
from evaluation.predictions import report_of

DOC = (Path(__file__).resolve().parents[1] / "docs" / "report-schema.md").read_text(encoding="utf-8")
TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "integer": (int,),
    "number": (int, float),
    "yes/no": (bool,),
    "list": (list,),
    "null": (type(None),),
}
SCORES, STEPS = ("scores", "means", "change", "lead3", "human"), ("outputs",)


def table(heading: str) -> dict[str, tuple[str, str]]:
    """field → its type and range."""
    part = DOC.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return {
        row[0]: (row[1], row[2]) for row in re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|", part, re.MULTILINE)
    }


def written(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its path; lists of objects are leaves too."""
    if isinstance(value, dict):
        for name, inner in value.items():
            generic = "*" if at.split(".")[-1] in (*SCORES, *STEPS) else name
            yield from written(inner, f"{at}.{generic}" if at else generic)
    elif isinstance(value, list):
        if value and isinstance(value[0], dict):
            yield f"{at}[]", value
        for inner in value:
            yield from written(inner, f"{at}[]")
    else:
        yield at, value


def assert_told(doc: dict[str, tuple[str, str]], found: list[tuple[str, Any]]) -> None:
    assert {field for field, _ in found} == set(doc)
    for field, value in found:
        kinds, span = doc[field]
        assert type(value) in [kind for name in kinds.split(" or ") for kind in TYPES[name]], (field, value)
        if span != "any" and value is not None:
            low, _, high = span.partition(" to ")
            assert float(low.removesuffix(" or more")) <= value <= float(high or "inf") + 1e-9, (field, value)


@pytest.fixture(scope="module")
def reports() -> list[dict[str, Any]]:
    """Of two checkpoints, and of summaries that leave every score unknown that can be."""
    chats = Dataset("chats", {"train": (), "validation": (), "test": tuple(map(make_example, range(8)))})
    bare = Example(Dialogue("bare", chats.splits["test"][0].dialogue.turns), ())
    return [report.to_json() for report in (*script_reports(chats), report_of([(bare, ""), (bare, "one")], "x", "y"))]


def test_every_field_of_a_report_is_told_with_its_type_and_range(reports: list[dict[str, Any]]) -> None:
    assert_told(table("Report"), [pair for report in reports for pair in written(json.loads(json.dumps(report)))])


def test_every_score_is_told_with_its_range_and_when_it_is_unknown(reports: list[dict[str, Any]]) -> None:
    results = [result["scores"] for report in reports for result in report["results"]]
    assert_told(table("Scores"), [pair for scores in results for pair in scores.items()])
    unknown = {name for scores in results for name, value in scores.items() if value is None}
    rows = re.findall(r"^\| `(\w+)` \| number or null .* \| ([^|]+) \|$", DOC, re.MULTILINE)
    assert unknown == {name for name, when in rows if when != "never"} - {
        "salience"
    }  # these chats all have weighty facts


def test_every_field_of_a_comparison_is_told_with_its_type_and_range(comparison: Comparison) -> None:
    found = list(written(json.loads(json.dumps(comparison.to_json()))))
    chats = Dataset("chats", {"train": (), "validation": (), "test": tuple(map(make_example, range(3)))})
    found += written(json.loads(json.dumps(compare(script_reports(chats), chats.splits["test"], "too few").to_json())))
    doc = table("Comparison")
    own = [(field, value) for field, value in found if not field.startswith(("signature", "rows[].outputs"))]
    assert_told(doc, own)
    report = set(table("Report"))
    inside = {field.removeprefix("rows[].outputs.*.") for field, _ in found if field.startswith("rows[].outputs")}
    assert {f"results[].{field}" for field in inside} == {field for field in report if field.startswith("results[].")}
    signature = {field for field, _ in found if field.startswith("signature")}
    assert signature == {field for field in report if field.startswith("signature")}
