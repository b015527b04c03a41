"""A comparison's figures as one signed piece of text: a link that needs no storage and outlives the app that made it.

    token = numbers_token(comparison, key)       # "1.eNqVVttu…", at most 8,000 characters
    read = read_token(token, key)                # read.comparison.rows == (); read.issued_here is True

A token is `version.payload.signature`: deflated JSON in URL-safe base64, signed by itsdangerous. What a stranger
altered or another app made still opens, as *unsigned*. Old versions stay in `_READERS` for ever.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from itsdangerous import BadSignature, Signer

from dialogues.dialogue import Problem
from evaluation.comparison import Comparison
from evaluation.findings import CheckpointScores
from evaluation.report import Signature
from evaluation.significance import Interval
from sharing.snapshot import LinkRefused

VERSION = 1
LONGEST = 8_000  # characters of a token that is written; servers and mail programs pass such addresses on
MOST_TEXT, MOST_TOKEN = 200_000, 20_000  # what is read: the unpacked JSON, and the token itself
SCALE = 100  # figures travel as whole hundredths
CHANCE_SCALE = 10_000
_TEXT, _CHECKPOINTS, _LARGEST = 2_000, 200, 10**9


@dataclass(frozen=True, slots=True)
class ReadLink:
    """What a token holds, and whether this app signed it."""

    comparison: Comparison
    issued_here: bool


def signing_key(home: Path) -> str:
    """The app's own key, made once and readable by nobody else: 64 hex digits in `home/signing.key`."""
    path = home / "signing.key"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(os.urandom(32).hex())
    except FileExistsError:
        pass
    return path.read_text(encoding="ascii")


def numbers_token(comparison: Comparison, key: str) -> str:
    """The figures of the comparison, signed. Raises LinkRefused where they do not fit into an address."""
    packed = zlib.compress(json.dumps(_pack(comparison), separators=(",", ":")).encode(), 9)
    token = _signer(key).sign(f"{VERSION}.{base64.urlsafe_b64encode(packed).decode().rstrip('=')}").decode()
    longest_text = max(map(len, (comparison.title, comparison.verdict, comparison.signature.template)))
    if len(token) > LONGEST or longest_text > _TEXT:
        reason = f"These figures and their texts are too long for an address ({len(token):,} characters)."
        raise LinkRefused(Problem(reason, "Publish a page with numbers only instead."))
    return token


def read_token(token: str, key: str) -> ReadLink:
    """What a token says. Raises LinkRefused, in a sentence, for one that was cut, inflated, malformed or made later."""
    version, _, rest = token.partition(".")
    if version.isdecimal() and len(version) < 6 and int(version) > VERSION:
        raise _refusal("This link was made by a later version of TuneProof.", "Ask for it as a published page.")
    if len(token) > MOST_TOKEN or version not in _READERS:
        raise _refusal()
    try:
        comparison = _READERS[version](_unpacked(rest.partition(".")[0]))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, zlib.error, binascii.Error) as error:
        raise _refusal() from error
    return ReadLink(comparison, _is_ours(token, key))


def _refusal(
    reason: str = "This link holds no figures that can be read.",
    remedy: str = "Check that it was copied whole; if it was, ask whoever sent it for a new one.",
) -> LinkRefused:
    return LinkRefused(Problem(reason, remedy))


def _signer(key: str) -> Signer:
    return Signer(key, salt="numbers link", key_derivation="hmac", digest_method=hashlib.sha256)


def _is_ours(token: str, key: str) -> bool:
    try:
        _signer(key).unsign(token)
    except BadSignature:
        return False
    return True


def _unpacked(payload: str) -> Any:
    """The JSON in a payload, unpacked no further than `MOST_TEXT` bytes."""
    packed = base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True)
    unpack = zlib.decompressobj()
    text = unpack.decompress(packed, MOST_TEXT)
    if not unpack.eof:
        raise ValueError("cut short, or longer than any of ours")
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no figure of ours")


def _pack(comparison: Comparison) -> list[Any]:
    """Version 1: title, verdict, badges, best, chosen, signature, score names, chats known and unknown, references, checkpoints."""
    names = [name for name in comparison.checkpoints[0].means if not name.endswith("_mean")]
    every = [one for at in comparison.checkpoints for one in (*at.means.values(), *at.change.values())]
    counts = list(dict.fromkeys((one.n, one.unknown) for one in every))

    def cells(scores: Mapping[str, Interval]) -> list[Any]:
        kept = [scores[name] for name in names if name in scores]
        return [
            [*map(_whole, (one.mean, one.low, one.high)), counts.index((one.n, one.unknown)), *_chance(one.p)]
            for one in kept
        ]

    lines = [[_whole(means.get(name)) for name in names] for means in (comparison.lead3, comparison.human)]
    points = [[one.step, one.model, cells(one.means), cells(one.change)] for one in comparison.checkpoints]
    said = [comparison.title, comparison.verdict, list(comparison.badges), comparison.best, comparison.chosen]
    return [*said, list(astuple(comparison.signature)), names, counts, lines, points]


def _read_1(packed: Any) -> Comparison:
    title, verdict, badges, best, chosen, signature, names, counts, lines, points = packed
    checkpoints = tuple(_checkpoint(point, _texts(names), counts) for point in points)
    steps = [checkpoint.step for checkpoint in checkpoints]
    if (
        len(steps) > _CHECKPOINTS
        or steps != sorted(set(steps))
        or steps[0] != 0
        or chosen not in steps
        or best not in (None, *steps)
    ):
        raise ValueError("its checkpoints are not in order")
    if not {"rougeL", "unsupported"} <= set(names):
        raise ValueError("a score that every page shows is missing")
    lead3, human = (_line(names, values) for values in lines)
    said = Signature(**dict(zip((one.name for one in fields(Signature)), _signature(signature), strict=True)))
    return Comparison(
        *(_text(title), said, checkpoints, lead3, human, best, chosen, _text(verdict), tuple(_texts(badges))), rows=()
    )


_READERS = {"1": _read_1}


def _signature(values: Sequence[Any]) -> list[Any]:
    return [_count(value) if at == 3 else _text(value) for at, value in enumerate(values)]


def _checkpoint(point: Sequence[Any], names: Sequence[str], counts: Sequence[Any]) -> CheckpointScores:
    step, model, means, change = point
    if len(means) != len(names) or len(change) not in (0, len(names)):
        raise ValueError("a checkpoint lacks a score")
    found = [{name: _interval(cell, counts) for name, cell in zip(names, cells)} for cells in (means, change)]  # noqa: B905
    return CheckpointScores(_count(step), _text(model), *found)


def _interval(cell: Sequence[Any], counts: Sequence[Any]) -> Interval:
    mean, low, high, at, *p = cell  # links of the first days hold no p
    n, unknown = counts[_count(at)]
    chance = _count(p[0]) / CHANCE_SCALE if p else None
    return Interval(_figure(mean), _figure(low), _figure(high), _count(n), _count(unknown), chance)


def _line(names: Sequence[str], values: Sequence[Any]) -> dict[str, float]:
    found = {name: _figure(value) for name, value in zip(names, values, strict=True)}
    return {name: value for name, value in found.items() if value is not None}


def _chance(p: float | None) -> list[int]:
    """p in ten thousandths, rounded up: a link never says more than its comparison."""
    return [] if p is None else [math.ceil(p * CHANCE_SCALE)]


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value * SCALE)


def _figure(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) is not int or abs(value) > _LARGEST:
        raise ValueError(f"{value!r} is no figure of ours")
    return value / SCALE


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise ValueError(f"{value!r} is no count")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _TEXT:
        raise ValueError("a text is missing or too long")
    return value


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list):
        raise ValueError("a list of texts is missing")
    return [_text(value) for value in values]
