"""Users of the `evaluate` library load our scores as one of its metrics, from a folder, offline."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from evaluation.predictions import read_predictions, report_of

FOLDER = Path(__file__).resolve().parents[1] / "evaluation" / "tuneproof_metric"
CHATS = ["Ann: My lamp arrived late.\nBob: I refunded $5.50.", "Ann: Hi.\nBob: Bye."]
SUMMARIES = ["Ann's lamp was late, $9.99 refunded.", "They greet."]
REFERENCES = [["A late lamp.", "Ann's late lamp was refunded."], []]


@pytest.fixture(scope="module")
def metric(tmp_path_factory: pytest.TempPathFactory) -> Any:
    evaluate = pytest.importorskip("evaluate")
    folder = str(tmp_path_factory.mktemp("cache"))
    original = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"it asked the network for {address}")

    socket.socket.connect = refuse  # type: ignore[method-assign]
    try:
        yield evaluate.load(str(FOLDER), cache_dir=folder, keep_in_memory=True)
    finally:
        socket.socket.connect = original  # type: ignore[method-assign]


def test_the_metric_gives_the_means_of_our_scores_counts_the_unknown_and_signs(metric: Any, tmp_path: Path) -> None:
    found = metric.compute(predictions=SUMMARIES, references=REFERENCES, dialogues=CHATS)
    path = tmp_path / "x.jsonl"
    rows = zip(CHATS, SUMMARIES, REFERENCES, strict=True)
    path.write_text("\n".join(json.dumps({"dialogue": d, "prediction": p, "references": r}) for d, p, r in rows))
    report = report_of(read_predictions(path), "evaluate", "predictions")
    for name in report.results[0].scores:
        known = [value for value in report.values(name) if value is not None]
        assert found[name] == pytest.approx(sum(known) / len(known), abs=1e-12)
    assert found["unsupported"] == 0.5 and found["unknown"]["rougeL"] == 1
    assert "grounding-" in found["signature"] and "n=2" in found["signature"]


def test_a_score_known_nowhere_is_none_and_a_chat_without_a_turn_is_named(metric: Any) -> None:
    found = metric.compute(predictions=SUMMARIES, references=[[], []], dialogues=CHATS)
    assert found["rougeL"] is None and found["flagged"] == 50.0
    with pytest.raises(ValueError, match="dialogues 1"):
        metric.compute(predictions=SUMMARIES, references=REFERENCES, dialogues=[CHATS[0], " "])
