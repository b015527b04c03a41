"""A published comparison: frozen, content-checked, revocable, expiring, behind an id of 128 random bits."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dialogues.dialogue import Problem, Refused
from evaluation.comparison import Comparison, ComparisonRefused

SCHEMA = 1
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
class Snapshots:
    """All published comparisons of this app, one JSON file each: `snapshots.publish(comparison, "chats", owner)`."""

    folder: Path

    def publish(self, comparison: Comparison, reveal: str, owner: str, days: int | None = 90) -> str:
        """Freeze what `reveal` leaves of the comparison and return its new id; it is readable for `days`, None = for ever."""
        if not owner:
            raise LinkRefused(Problem("This browser has not been given its key yet.", "Reload the page and try again."))
        now = datetime.now(UTC)
        body = REVEAL[reveal](comparison).to_json()
        record = {
            "schema": SCHEMA,
            "owner": hashlib.sha256(owner.encode()).hexdigest(),
            "reveal": reveal,
            "published": now.isoformat(),
            "expires": (now + timedelta(days=days)).isoformat() if days else None,
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
        record = self._record(snapshot_id)
        expires = record["expires"]
        if expires and datetime.fromisoformat(expires) < datetime.now(UTC):
            raise LinkRefused(GONE)
        if record["digest"] != _digest(record["comparison"]):
            raise LinkRefused(GONE)
        try:
            return Comparison.from_json(record["comparison"])
        except ComparisonRefused as error:
            raise LinkRefused(*error.problems) from error

    def revoke(self, snapshot_id: str, owner: str) -> None:
        """Take a published page down for good. Raises LinkRefused unless it is the owner's."""
        if self._record(snapshot_id)["owner"] != hashlib.sha256(owner.encode()).hexdigest():
            raise LinkRefused(GONE)
        self._path(snapshot_id).unlink(missing_ok=True)

    def _record(self, snapshot_id: str) -> dict[str, Any]:
        if not ID.fullmatch(snapshot_id):
            raise LinkRefused(GONE)
        try:
            record: dict[str, Any] = json.loads(self._path(snapshot_id).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LinkRefused(GONE) from error
        return record

    def _path(self, snapshot_id: str) -> Path:
        return self.folder / f"{snapshot_id}.json"


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
