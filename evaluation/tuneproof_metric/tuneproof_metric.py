"""All of our scores as one metric of the `evaluate` library: `evaluate.load("evaluation/tuneproof_metric")`, without network.

metric.compute(predictions=["Ann's lamp was late."], references=[["The lamp came late."]], dialogues=["Ann: My lamp …\\nBob: …"])
# {"rougeL": 75.0, …, "coverage": …, "unsupported": 0.0, "flagged": 0.0, "unknown": {}, "signature": "…"}
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from dialogues.dialogue import Dialogue, Example
from dialogues.turns import read_turns
from evaluation.predictions import report_of
from evaluation.report import Report

INPUTS = """
predictions: the summaries. references: for each, a list of the summaries that people wrote, which may be empty.
dialogues: for each, its chat, one turn a line, such as "Customer: …".

Returns the mean of every score over the chats where it is known, None where it is known nowhere (units and ranges:
docs/report-schema.md), how many chats of which score are `unknown`, and the `signature` to publish beside the numbers.
"""


class TuneProofMetric(evaluate.Metric):
    """Overlap with references, key facts kept, copying, and facts that the chat does not hold."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="ROUGE, BLEU, chrF, key facts kept and unsupported facts of summaries of chats; deterministic.",
            citation="",
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": datasets.Sequence(text), "dialogues": text}),
        )

    def _compute(self, predictions: list[str], references: list[list[str]], dialogues: list[str]) -> dict[str, Any]:
        """Raises ValueError that names every chat without a turn."""
        chats = [Dialogue(str(at), read_turns(text)) for at, text in enumerate(dialogues)]
        if empty := [chat.id for chat in chats if not chat.turns]:
            raise ValueError(f"There is no chat in dialogues {', '.join(empty)}: give its turns, one a line.")
        examples = [Example(chat, tuple(given)) for chat, given in zip(chats, references, strict=True)]
        return _means(report_of(zip(examples, predictions, strict=True), "evaluate", "predictions"))


def _means(report: Report) -> dict[str, Any]:
    names = report.results[0].scores
    known = {name: [value for value in report.values(name) if value is not None] for name in names}
    unknown = {name: len(report.results) - len(values) for name, values in known.items()}
    return {
        **{name: sum(values) / len(values) if values else None for name, values in known.items()},
        "unknown": {name: count for name, count in unknown.items() if count},
        "signature": str(report.signature),
    }
