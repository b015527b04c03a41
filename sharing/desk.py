"""What a program may ask for, in plain values: list runs, get a report, publish, revoke, fetch; the API and the command line use it.

desk = Desk(home)
desk.list_runs(key)                               # [{"id": "5f…", "name": "Spring team", "steps": [0, 62]}]
page = desk.publish(run_id, "numbers", 30, key)   # {"id": "9c…", "query": "?compare=9c…"}
desk.fetch_snapshot(page["id"])["comparison"]["verdict"]
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialogues.dialogue import Problem
from evaluation.comparison import Comparison, compare_run
from evaluation.several import together
from sharing.link import numbers_token, signing_key
from sharing.snapshot import LinkRefused, Snapshots, prepare
from tuning.runs import list_runs, open_run


@dataclass(frozen=True, slots=True)
class Desk:
    """Runs and published pages under one home folder; `signing` signs numbers links, "" means the home's own key.

    Where a comparison is made of `run_id`, several ids with commas between them stand side by side in it.
    """

    home: Path
    signing: str = ""

    def list_runs(self, key: str) -> list[dict[str, Any]]:
        """The runs that were started with this key, the newest first, each with the steps measured so far."""
        found = list_runs(self.home / "runs", key)
        return [{"id": run.id, "name": run.record.name, "steps": run.measured()} for run in found]

    def get_report(self, run_id: str, step: int) -> dict[str, Any]:
        """The report of one checkpoint as it was measured. Raises RunRefused, or LinkRefused where there is none yet."""
        report = open_run(self.home / "runs", run_id).report(int(step))
        if report is None:
            raise LinkRefused(
                Problem(f"Step {step} of this run has no report.", "Ask for a step that list_runs names.", field="step")
            )
        return report

    def publish(self, run_id: str, reveal: str, days: int | None, key: str) -> dict[str, str]:
        """Freeze the run's comparison; its id, and the query that opens it. Raises RunRefused, ComparisonRefused, LinkRefused."""
        snapshot_id = self.snapshots.publish(self._comparison(run_id), reveal, key, days or None)
        return {"id": snapshot_id, "query": f"?compare={snapshot_id}"}

    def numbers_link(self, run_id: str) -> dict[str, str]:
        """The run's figures as a signed token, and the query that opens it. Raises RunRefused, ComparisonRefused, LinkRefused."""
        clean, _ = prepare(self._comparison(run_id), "numbers")
        token = numbers_token(clean, self.signing or signing_key(self.home))
        return {"token": token, "query": f"?numbers={token}"}

    def revoke(self, snapshot_id: str, key: str) -> dict[str, str]:
        """Take a published page down for good. Raises LinkRefused unless this key published it."""
        self.snapshots.revoke(snapshot_id, key)
        return {"revoked": snapshot_id}

    def fetch_snapshot(self, snapshot_id: str) -> dict[str, Any]:
        """A published comparison, as docs/snapshot-schema.md describes it. Raises LinkRefused."""
        return self.snapshots.open(snapshot_id).to_json()

    @property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.home / "published")

    def _comparison(self, run_id: str) -> Comparison:
        return together([compare_run(open_run(self.home / "runs", one.strip())) for one in run_id.split(",")])
