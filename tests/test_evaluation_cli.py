"""`python -m evaluation`: any file of predictions is scored, or refused with every reason at once."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import script_reports

from dialogues.dialogue import Dataset
from evaluation.__main__ import main
from evaluation.comparison import Comparison
from evaluation.measure import score
from evaluation.predictions import PREDICTION, longest3, read_chats, read_predictions
from evaluation.report import Report
from tuning.plan import propose
from tuning.runs import create

CHAT = "Ann: My lamp arrived late.\nBob: I refunded $5.50."
ROW = {"dialogue": CHAT, "summary": "A late lamp; $5.50 refunded.", "prediction": "Ann's lamp was late."}


def saved(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / name
    if path.suffix.lower() in (".csv", ".tsv"):
        table = io.StringIO()
        writer = csv.DictWriter(table, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(table.getvalue(), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    return path


def scored(path: Path, *more: object) -> Report:
    out = path.with_name("report.json")
    assert main([str(path), "--out", str(out), *map(str, more)]) == 0
    return Report.from_json(json.loads(out.read_text(encoding="utf-8")))


def refused(capsys: pytest.CaptureFixture[str], path: Path, *more: object) -> str:
    assert main([str(path), *map(str, more)]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl", "x.json", "X.CSV"])
def test_a_table_or_json_of_predictions_gives_the_same_report(tmp_path: Path, name: str) -> None:
    report = scored(saved(tmp_path, name, [ROW, {**ROW, "prediction": "Ann wants $9.99."}]))
    (example, text), (_, invented) = read_predictions(tmp_path / name)
    assert [result.summary for result in report.results] == [ROW["prediction"], "Ann wants $9.99."]
    assert report.results[0].scores == score(text, example)[0]
    assert report.results[1].verdicts == score(invented, example)[1]
    assert report.values("unsupported")[1] == 1
    assert (report.signature.n, report.signature.template, report.signature.model) == (2, "unknown", "predictions")


@pytest.mark.parametrize("name", PREDICTION)
def test_a_prediction_column_is_known_by_its_usual_names(tmp_path: Path, name: str) -> None:
    row = {"dialogue": CHAT, "summary": "s", f" {name.title()} ": "Ann's lamp."}
    assert read_predictions(saved(tmp_path, "x.csv", [row]))[0][1] == "Ann's lamp."


def test_any_column_can_be_named_by_hand_and_a_prediction_is_never_its_own_reference(tmp_path: Path) -> None:
    path = saved(tmp_path, "x.csv", [{"log": CHAT, "output": "Ann's lamp."}])
    report = scored(path, "--column", "dialogue=Log", "--column", "prediction=OUTPUT")
    assert report.results[0].summary == "Ann's lamp." and report.values("rougeL") == [None]


@pytest.mark.parametrize("column", ["prediciton=output", "id=nosuch", "summary=nosuch"])
def test_a_column_named_by_mistake_is_refused_and_nothing_is_scored(
    tmp_path: Path, column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path, "x.csv", [{"dialogue": CHAT, "prediction": "Ann's lamp.", "summary": "A lamp."}])
    assert main([str(path), "--column", column]) == 1
    assert column.partition("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    "references", [{"summary": ["One.", "Two."]}, {"summary1": "One.", "summary2": "Two."}, {"references": '["One.", "Two."]'}]
)  # fmt: skip
def test_several_references_are_all_used(tmp_path: Path, references: dict[str, Any]) -> None:
    path = saved(tmp_path, "x.jsonl", [{"dialogue": CHAT, "prediction": "Two.", **references}])
    assert read_predictions(path)[0][0].references == ("One.", "Two.")
    assert scored(path).values("rouge1") == [100.0] and scored(path).values("rouge1_mean") == [50.0]


def test_a_chat_without_reference_has_unknown_scores_that_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = scored(saved(tmp_path, "x.jsonl", [ROW, {**ROW, "summary": None}]))
    assert report.values("rougeL")[1] is None and report.values("unsupported") == [0.0, 0.0]
    assert "n = 1, unknown 1" in capsys.readouterr().out


def test_an_empty_prediction_is_scored_as_one_and_line_breaks_stay(tmp_path: Path) -> None:
    report = scored(saved(tmp_path, "x.csv", [{**ROW, "prediction": ""}, {**ROW, "prediction": "A lamp.\nLate."}]))
    assert report.values("rougeL")[0] == 0.0
    assert report.results[1].summary == "A lamp.\nLate."


@pytest.mark.parametrize("baseline", ["lead3", "longest3"])
def test_a_baseline_needs_no_prediction_and_is_named_in_the_signature(tmp_path: Path, baseline: str) -> None:
    turns = ["A: one", "B: two three", "A: four five six", "B: seven eight", "A: nine"]
    path = saved(tmp_path, "x.jsonl", [{"dialogue": turns, "summary": "one"}])
    report = scored(path, "--baseline", baseline)
    assert report.results[0].summary == {
        "lead3": "one two three four five six",
        "longest3": "two three four five six seven eight",
    }[baseline]  # fmt: skip
    assert report.signature.model == baseline
    assert longest3(read_chats(path)[0].dialogue).split()[0] == "two"


def test_a_model_can_summarise_the_files_chats_and_says_template_decoding_and_weights(
    tmp_path: Path, tiny_model: Path
) -> None:
    path = saved(tmp_path, "x.jsonl", [{"dialogue": CHAT, "summary": "s"}] * 2)
    signature = scored(path, "--model", tiny_model).signature
    assert "{dialogue}" in signature.template and signature.decoding.startswith("greedy")
    assert signature.model.startswith("tiny@") and signature.data == scored(path, "--baseline", "lead3").signature.data


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_every_encoding_that_an_upload_may_have_is_read(tmp_path: Path, encoding: str) -> None:
    row = {
        "dialogue": "Léa: Où est mon café à la crème?\nBob: Il arrive déjà.",
        "prediction": "Un café tardif, désolé.",
    }
    path = saved(tmp_path, "x.csv", [row] * 9)
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    assert read_predictions(path)[0][1] == "Un café tardif, désolé."


def test_every_bad_row_is_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.jsonl"
    bad = [{**ROW, "dialogue": "", "prediction": None}, {**ROW, "prediction": 7}, {**ROW, "prediction": "a\0b"}]
    huge = [{**ROW, "prediction": "long " * 30_000}, {**ROW, "dialogue": "A: " + "long " * 30_000}]
    path.write_text("\n".join([json.dumps(ROW), "{broken", "[1]", *map(json.dumps, [*bad, *huge])]))
    said = refused(capsys, path).splitlines()
    assert [line.partition(":")[0] for line in said] == [
        "row 2",
        "row 3",
        "row 4, dialogue",
        "row 4, prediction",
        "row 5, prediction",
        "row 6, prediction",
        "row 7, prediction",
        "row 8, dialogue",
    ]
    assert "150,000 characters long" in said[6]


def test_a_broken_csv_row_is_named_with_its_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.csv"
    path.write_text('dialogue,prediction\n"A: a\nB: b",ok\n"x"y,bad\n"A: a\nB: b",ok,too many\n"A: a\nB: b"\n')
    said = refused(capsys, path)
    assert [line.partition(":")[0] for line in said.splitlines()] == ["row 3", "row 4", "row 5, prediction"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", "", "is empty"),
        ("x.csv", "dialogue,prediction\n", "There is no row"),
        ("x.docx", "x", "not a type"),
        ("x.csv", "a,b\n1,2\n", "No column with the dialogue|No column with the prediction"),
        ("x.json", "[{", "JSON list cannot be read"),
        ("gone.csv", None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_scored_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    said = refused(capsys, tmp_path / name)
    assert all(part in said for part in says.split("|")) and "Traceback" not in said


def test_half_a_character_does_not_stop_the_report_from_being_written(tmp_path: Path) -> None:
    assert (
        scored(saved(tmp_path, "x.jsonl", [{**ROW, "prediction": "Late \ud83d"}])).results[0].summary == "Late \ufffd"
    )


def test_a_report_that_could_not_be_kept_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path, "x.csv", [ROW])
    assert "There is no folder" in refused(capsys, path, "--out", tmp_path / "gone" / "report.json")


def test_a_runs_folder_tells_its_comparison(
    tmp_path: Path, tiny_model: Path, chats: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    run = create(tmp_path, propose(chats, base_model=str(tiny_model), size="quick"), chats, "Forty chats", "me")
    for report in script_reports(chats):
        run.save_report(report.to_json())
    assert main([str(run.folder), "--out", str(tmp_path / "c.json")]) == 0
    comparison = Comparison.from_json(json.loads((tmp_path / "c.json").read_text(encoding="utf-8")))
    said = capsys.readouterr().out
    assert comparison.verdict in said and "checkpoint 200" in said and str(comparison.signature) in said


def test_a_folder_that_is_no_run_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is no run" in refused(capsys, tmp_path)
