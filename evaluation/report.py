"""Verdict, ExampleResult, Signature, Report: what was measured on one checkpoint, with means computed and never stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

VERSION = "0.1.0"  # TuneProof's own; it enters every signature

SUPPORTED, ABSENT, CONTRADICTED, NEW = "supported", "absent", "contradicted", "new"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the chat says about one stretch of a summary.

    `start`/`end` are character offsets into the summary; `status` is supported, absent, contradicted or new (a word of
    the summary's own, which proves nothing); `kind` names what was looked at (name, number, amount, date, id, negation,
    modality, opposite, role, event, word); `support` in [0, 1], or None when it could not be judged; `turn` is the 0-based evidence turn, or
    None for "not in the chat"; `reason` is one sentence in words.
    """

    start: int
    end: int
    kind: str
    status: str
    support: float | None
    turn: int | None
    reason: str

    @property
    def unsupported(self) -> bool:
        return self.status in (ABSENT, CONTRADICTED)


def verdict(span: tuple[int, int], kind: str, status: str, turn: int | None, reason: str) -> Verdict:
    """One that was judged: support is 1 where the chat says so and 0 otherwise."""
    return Verdict(*span, kind, status, 1.0 if status == SUPPORTED else 0.0, turn, reason)


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """One summary and everything measured on it. A score that could not be computed is None, never 0."""

    example_id: str
    summary: str
    scores: Mapping[str, float | None]
    verdicts: tuple[Verdict, ...]
    input_truncated: bool = False
    output_truncated: bool = False

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ExampleResult:
        """From the plain values that `asdict` gives."""
        return cls(**{**record, "verdicts": tuple(Verdict(**verdict) for verdict in record["verdicts"])})


@dataclass(frozen=True, slots=True)
class Signature:
    """What a score was measured with. Reports are compared only where all of it but model and checkpoint agree."""

    data: str  # Dataset.digest
    data_name: str
    split: str
    n: int
    template: str  # the pattern itself
    decoding: str  # Decoding.signature
    metrics: str  # such as "rouge_score-0.1.2+stemmer+max|grounding-1"
    model: str  # name and digest of the weights measured, such as "bundled@0f3a…"
    version: str  # TuneProof's version

    def difference(self, other: Signature) -> list[str]:
        """The names of the fields that forbid a comparison, empty when both may stand on one axis."""
        return [
            name
            for name in ("data", "split", "n", "template", "decoding", "metrics")
            if getattr(self, name) != getattr(other, name)
        ]

    def __str__(self) -> str:
        return (
            f"{self.data_name}@{self.data}/{self.split} n={self.n} | {self.metrics} | {self.decoding} | "
            f"{self.model} | TuneProof {self.version}"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """All results of one checkpoint on one split, in the split's order. `step` 0 is the untouched model."""

    run: str
    step: int
    signature: Signature
    results: tuple[ExampleResult, ...]

    def values(self, score: str) -> list[float | None]:
        """One score over the examples in order; None where unknown."""
        return [result.scores.get(score) for result in self.results]

    def to_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Report:
        results = tuple(ExampleResult.from_json(result) for result in record["results"])
        return cls(record["run"], record["step"], Signature(**record["signature"]), results)
