"""A published comparison: frozen, content-checked, revocable, expiring, behind an id of 128 random bits."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dialogues.dialogue import Problem, Refused
from evaluation.comparison import Comparison, ComparisonRefused
from sharing.scrub import Found, scrubbed
from tuning.runs import owner_digest

SCHEMA = 2  # 1: without `replaced`
ID = re.compile(r"[0-9a-f]{32}")
# What a publisher may choose to reveal: each takes away from the comparison what is not meant for the reader.
REVEAL: dict[str, Callable[[Comparison], Comparison]] = {
    "numbers": Comparison.numbers_only,
    "summaries": Comparison.without_chats,
    "chats": lambda comparison: comparison,
}


class LinkRefused(Refused):
    """The link leads nowhere. Unknown, revoked and expired ids all answer with the same words."""


GONE = Problem(
    "This link does not lead to a comparison.",
    "Check that it was copied whole; if it was, ask whoever sent it for a new one: links expire and can be revoked.",
)


@dataclass(frozen=True, slots=True)
class Published:
    """A published comparison and what a reader may know of it. Times are ISO 8601 in UTC.

    `replaced` counts the places where personal data was replaced, by kind; None where it was published before that
    was done (schema 1). `expires` is None where it never does.
    """

    comparison: Comparison
    reveal: str
    published: str
    expires: str | None
    replaced: Mapping[str, int] | None
    digest: str

    def to_json(self) -> dict[str, Any]:
        """Plain values, described in docs/snapshot-schema.md; nothing in it says who published."""
        names = ("reveal", "published", "expires", "replaced", "digest")
        return {
            "schema": SCHEMA,
            **{name: getattr(self, name) for name in names},
            "comparison": self.comparison.to_json(),
        }


def prepare(comparison: Comparison, reveal: str) -> tuple[Comparison, tuple[Found, ...]]:
    """Exactly what `publish` would freeze, and the personal data it replaces. Raises LinkRefused."""
    if reveal not in REVEAL:
        asked = f"“{reveal}” is not something a link can show."
        raise LinkRefused(Problem(asked, f"Choose one of {', '.join(REVEAL)}.", field="reveal"))
    return scrubbed(REVEAL[reveal](comparison))


@dataclass(frozen=True, slots=True)
class Snapshots:
    """All published comparisons of this app, one JSON file each: `snapshots.publish(comparison, "chats", owner)`."""

    folder: Path

    def publish(self, comparison: Comparison, reveal: str, owner: str, days: int | None = 90) -> str:
        """Freeze what `reveal` leaves of the comparison, scrubbed, and return its new id; readable for `days`, None = for ever.

        Raises LinkRefused without an owner, for an unknown `reveal`, or for `days` outside 1 to 3,650.
        """
        if not owner:
            raise LinkRefused(Problem("This browser has not been given its key yet.", "Reload the page and try again."))
        if days is not None and not 1 <= days <= 3650:
            raise LinkRefused(Problem(f"A link cannot last {days} days.", "Choose 1 to 3,650, or never.", field="days"))
        clean, found = prepare(comparison, reveal)
        now, body = datetime.now(UTC), clean.to_json()
        record = {
            "schema": SCHEMA,
            "owner": owner_digest(owner),
            "reveal": reveal,
            "published": now.isoformat(),
            "expires": (now + timedelta(days=days)).isoformat() if days else None,
            "replaced": _by_kind(found),
            "digest": _digest(body),
            "comparison": body,
        }
        snapshot_id = secrets.token_hex(16)
        self.folder.mkdir(parents=True, exist_ok=True)
        whole = self._path(snapshot_id).with_suffix(".part")
        whole.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
        whole.replace(self._path(snapshot_id))
        return snapshot_id

    def fetch(self, snapshot_id: str) -> Comparison:
        """The published comparison. Raises LinkRefused for an id that is malformed, unknown, revoked or expired."""
        return self.open(snapshot_id).comparison

    def open(self, snapshot_id: str) -> Published:
        """The published comparison with what is known of it, whatever version wrote it. Raises LinkRefused like `fetch`."""
        record = self._record(snapshot_id)
        try:
            if _expired(record) or record["digest"] != _digest(record["comparison"]):
                raise LinkRefused(GONE)
            return _READERS[record["schema"]](record)
        except ComparisonRefused as error:
            raise LinkRefused(*error.problems) from error
        except (KeyError, TypeError, ValueError) as error:
            raise LinkRefused(GONE) from error

    def revoke(self, snapshot_id: str, owner: str) -> None:
        """Take a published page down for good. Raises LinkRefused unless it is the owner's."""
        if not secrets.compare_digest(str(self._record(snapshot_id).get("owner")), owner_digest(owner)):
            raise LinkRefused(GONE)
        self._path(snapshot_id).unlink(missing_ok=True)

    def _record(self, snapshot_id: str) -> dict[str, Any]:
        if not isinstance(snapshot_id, str) or not ID.fullmatch(snapshot_id):
            raise LinkRefused(GONE)
        try:
            record = json.loads(self._path(snapshot_id).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LinkRefused(GONE) from error
        if not isinstance(record, dict):
            raise LinkRefused(GONE)
        return record

    def _path(self, snapshot_id: str) -> Path:
        return self.folder / f"{snapshot_id}.json"


def _read_1(record: Mapping[str, Any]) -> Published:
    return _read_2({**record, "replaced": None})


def _read_2(record: Mapping[str, Any]) -> Published:
    said = {name: record[name] for name in ("reveal", "published", "expires", "replaced", "digest")}
    return Published(Comparison.from_json(record["comparison"]), **said)


# One reader for each schema ever written: what is on disk is never rewritten.
_READERS: dict[int, Callable[[Mapping[str, Any]], Published]] = {1: _read_1, 2: _read_2}


def _expired(record: Mapping[str, Any]) -> bool:
    expires = record["expires"]
    return bool(expires) and datetime.fromisoformat(expires) < datetime.now(UTC)


def _by_kind(found: tuple[Found, ...]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for one in found:
        counts[one.kind] += one.count
    return dict(counts)


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
