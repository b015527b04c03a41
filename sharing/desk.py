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
from evaluation.several import MOST, together
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
        """List the runs that were started with a key, the newest first.

        Args:
            key: Your key; the Compare tab shows it under Share.
        Returns:
            One {"id", "name", "steps"} a run; steps are the checkpoints measured so far, 0 is zero-shot.
        """
        found = list_runs(self.home / "runs", key)
        return [{"id": run.id, "name": run.record.name, "steps": run.measured()} for run in found]

    def get_report(self, run_id: str, step: int) -> dict[str, Any]:
        """Get everything that was measured on one checkpoint of a run. Raises RunRefused, or LinkRefused where there is none.

        Args:
            run_id: The run's id, 32 hex digits.
            step: The checkpoint, 0 for zero-shot.
        Returns:
            The report: signature, and for each chat the summary, its scores and verdicts.
        """
        report = open_run(self.home / "runs", run_id).report(int(step))
        if report is None:
            raise LinkRefused(
                Problem(f"Step {step} of this run has no report.", "Ask for a step that list_runs names.", field="step")
            )
        return report

    def publish(self, run_id: str, reveal: str, days: int, key: str) -> dict[str, str]:
        """Publish a frozen copy of a run's comparison, with personal data replaced. Raises Refused.

        Args:
            run_id: The run's id, 32 hex digits; several, with commas between them, stand side by side.
            reveal: What the page shows: numbers, summaries or chats.
            days: How long it stays open, 1 to 3650; 0 until it is revoked.
            key: Any secret of yours; only who has it can revoke the page.
        Returns:
            The page's id, and the query that opens it at the app's address.
        """
        snapshot_id = self.snapshots.publish(self._comparison(run_id), reveal, key, days or None)
        return {"id": snapshot_id, "query": f"?compare={snapshot_id}"}

    def numbers_link(self, run_id: str) -> dict[str, str]:
        """Make a signed link that holds the figures of a run's comparison itself. Raises Refused.

        Args:
            run_id: The run's id, 32 hex digits; several, with commas between them, stand side by side.
        Returns:
            The token, and the query that opens it at the app's address.
        """
        clean, _ = prepare(self._comparison(run_id), "numbers")
        token = numbers_token(clean, self.signing or signing_key(self.home))
        return {"token": token, "query": f"?numbers={token}"}

    def revoke(self, snapshot_id: str, key: str) -> dict[str, str]:
        """Take a published page down for good. Raises LinkRefused unless this key published it.

        Args:
            snapshot_id: The page's id, 32 hex digits.
            key: The key that it was published with.
        Returns:
            {"revoked": the page's id}
        """
        self.snapshots.revoke(snapshot_id, key)
        return {"revoked": snapshot_id}

    def fetch_snapshot(self, snapshot_id: str) -> dict[str, Any]:
        """Fetch a published comparison as plain values, described in docs/snapshot-schema.md. Raises LinkRefused.

        Args:
            snapshot_id: The page's id, 32 hex digits.
        Returns:
            The snapshot with its schema version.
        """
        return self.snapshots.open(snapshot_id).to_json()

    @property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.home / "published")

    def _comparison(self, run_id: str) -> Comparison:
        named = [one.strip() for one in run_id.split(",")]
        if len(named) > MOST or len(set(named)) < len(named):
            raise LinkRefused(Problem(f"{len(named)} runs are named.", f"Name one to {MOST}, each once.", field="run"))
        return together([compare_run(open_run(self.home / "runs", one)) for one in named])
