"""Personal data in a comparison becomes placeholders before anyone else reads it, and what was replaced is told.

    clean, found = scrubbed(comparison)
    found[0]   # Found(kind="email", text="ann@example.org", placeholder="[email 1]", count=3)

Found are e-mail addresses, telephone numbers that exist as numbers (`phonenumbers`, international or as written in the
US, the UK or Korea), card numbers and IBANs whose check digits hold (`stdnum`), and IP addresses. Names of people and
postal addresses are not found: nothing small does that well, so the preview says so.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from dialogues.dialogue import Turn
from evaluation.comparison import Comparison, Row
from evaluation.report import ExampleResult, Verdict

REGIONS = ("US", "GB", "KR")
_EMAIL = re.compile(r"[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}")
_CARD = re.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b")
_IP = re.compile(
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{1,4}(?![\w:])"
)
_SEVEN_DIGITS = re.compile(r"\d(?:\D{0,3}\d){6}")


@dataclass(frozen=True, slots=True)
class Found:
    """One piece of personal data: what it was, what stands there now, and in how many places."""

    kind: str
    text: str
    placeholder: str
    count: int


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` of a text hold personal data of this kind."""

    start: int
    end: int
    kind: str


def personal(text: str) -> list[Span]:
    """The personal data in a text, in order, none overlapping another."""
    kept: list[Span] = []
    for span in sorted(_spans(text), key=lambda span: (span.start, -span.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def _spans(text: str) -> Iterator[Span]:
    if "@" in text:
        yield from (Span(*match.span(), "email") for match in _EMAIL.finditer(text))
    if "." in text or ":" in text:
        yield from (Span(*match.span(), "IP address") for match in _IP.finditer(text) if _is_ip(match[0]))
    if _SEVEN_DIGITS.search(text):
        yield from _numbers(text)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _numbers(text: str) -> Iterator[Span]:
    """Card numbers, IBANs and telephone numbers; the libraries are imported where a text holds digits enough."""
    import phonenumbers
    from stdnum import iban, luhn

    yield from (Span(*m.span(), "card number") for m in _CARD.finditer(text) if luhn.is_valid(re.sub(r"\D", "", m[0])))
    yield from (Span(*match.span(), "IBAN") for match in _IBAN.finditer(text) if iban.is_valid(match[0]))
    for region in REGIONS:
        for match in phonenumbers.PhoneNumberMatcher(text, region):
            yield Span(match.start, match.end, "phone number")


@dataclass(slots=True)
class Scrubber:
    """Replaces text by text, the same thing by the same placeholder; `found` tells what it has replaced so far."""

    _names: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def text(self, text: str) -> str:
        """The text with its personal data replaced."""
        return self._replaced(text)[0]

    def summary(self, result: ExampleResult) -> ExampleResult:
        """The result with its summary and reasons replaced and its verdicts still on their words."""
        summary, moves = self._replaced(result.summary)
        verdicts: list[Verdict] = []
        for verdict in result.verdicts:
            start, end = _moved(verdict.start, moves, 0), _moved(verdict.end, moves, 1)
            if not verdicts or start >= verdicts[-1].end:
                verdicts.append(replace(verdict, start=start, end=end, reason=self.text(verdict.reason)))
        return replace(result, summary=summary, verdicts=tuple(verdicts), example_id=self.text(result.example_id))

    @property
    def found(self) -> tuple[Found, ...]:
        return tuple(Found(kind, seen, name, self._counts[name]) for (kind, _), (name, seen) in self._names.items())

    def _replaced(self, text: str) -> tuple[str, list[tuple[Span, int, int]]]:
        """The new text, and for each span where its placeholder now starts and ends."""
        parts, moves, at, length = [], [], 0, 0
        for span in personal(text):
            name = self._placeholder(span.kind, text[span.start : span.end])
            parts += [text[at : span.start], name]
            length += span.start - at + len(name)
            moves.append((span, length - len(name), length))
            at = span.end
        return "".join([*parts, text[at:]]), moves

    def _placeholder(self, kind: str, text: str) -> str:
        key = kind, re.sub(r"[\s().-]", "", text).lower()
        if key not in self._names:
            number = sum(other == kind for other, _ in self._names) + 1
            self._names[key] = f"[{kind} {number}]", text
        name = self._names[key][0]
        self._counts[name] += 1
        return name


def _moved(at: int, moves: list[tuple[Span, int, int]], end: int) -> int:
    """Where an offset (`end` 1: of a verdict's end) lies in the new text: outside placeholders, or at their edge."""
    shift = 0
    for span, new_start, new_end in moves:
        if at <= span.start if end else at < span.start:
            break
        if at < span.end or (end and at == span.end):
            return new_end if end else new_start
        shift = new_end - span.end
    return at + shift


def scrubbed(comparison: Comparison) -> tuple[Comparison, tuple[Found, ...]]:
    """The comparison without personal data in its title, data name, chats, references, summaries and reasons."""
    scrub = Scrubber()
    clean: dict[str, Any] = {
        "title": scrub.text(comparison.title),
        "signature": replace(comparison.signature, data_name=scrub.text(comparison.signature.data_name)),
        "rows": tuple(_row(row, scrub) for row in comparison.rows),
    }
    return replace(comparison, **clean), scrub.found


def _row(row: Row, scrub: Scrubber) -> Row:
    return replace(
        row,
        example_id=scrub.text(row.example_id),
        topic=scrub.text(row.topic),
        turns=tuple(Turn(scrub.text(turn.speaker), scrub.text(turn.text)) for turn in row.turns),
        references=tuple(scrub.text(text) for text in row.references),
        outputs={step: scrub.summary(result) for step, result in row.outputs.items()},
    )
