"""The named endpoints that programs call: what the screen does with runs and published pages, without a screen."""

from __future__ import annotations

from typing import Any

import gradio as gr

from sharing.desk import Desk
from ui.refusals import as_messages
from ui.settings import Settings


def build(settings: Settings) -> None:
    """Offer every endpoint under its own name; a refusal comes as an error with its sentence. Examples: docs/api.md."""
    desk = Desk(settings.home, settings.key)

    def list_runs(key: str) -> list[dict[str, Any]]:
        """List the runs that were started with a key, the newest first.

        Args:
            key: Your key; the Compare tab shows it under Share.
        Returns:
            One {"id", "name", "steps"} a run; steps are the checkpoints measured so far, 0 is zero-shot.
        """
        with as_messages("Not listed"):
            return desk.list_runs(key)

    def get_report(run_id: str, step: int) -> dict[str, Any]:
        """Get everything that was measured on one checkpoint of a run.

        Args:
            run_id: The run's id, 32 hex digits.
            step: The checkpoint, 0 for zero-shot.
        Returns:
            The report: signature, and for each chat the summary, its scores and verdicts.
        """
        with as_messages("No report"):
            return desk.get_report(run_id, step)

    def publish(run_id: str, reveal: str, days: int, key: str) -> dict[str, str]:
        """Publish a frozen copy of a run's comparison, with personal data replaced.

        Args:
            run_id: The run's id, 32 hex digits; several, with commas between them, stand side by side.
            reveal: What the page shows: numbers, summaries or chats.
            days: How long it stays open, 1 to 3650; 0 until it is revoked.
            key: Any secret of yours; only who has it can revoke the page.
        Returns:
            The page's id, and the query that opens it at the app's address.
        """
        with as_messages("Not published"):
            return desk.publish(run_id, reveal, days, key)

    def numbers_link(run_id: str) -> dict[str, str]:
        """Make a signed link that holds the figures of a run's comparison itself.

        Args:
            run_id: The run's id, 32 hex digits; several, with commas between them, stand side by side.
        Returns:
            The token, and the query that opens it at the app's address.
        """
        with as_messages("No link"):
            return desk.numbers_link(run_id)

    def revoke(snapshot_id: str, key: str) -> dict[str, str]:
        """Take a published page down for good.

        Args:
            snapshot_id: The page's id, 32 hex digits.
            key: The key that it was published with.
        Returns:
            {"revoked": the page's id}
        """
        with as_messages("Not revoked"):
            return desk.revoke(snapshot_id, key)

    def fetch_snapshot(snapshot_id: str) -> dict[str, Any]:
        """Fetch a published comparison as plain values, described in docs/snapshot-schema.md.

        Args:
            snapshot_id: The page's id, 32 hex digits.
        Returns:
            The snapshot with its schema version.
        """
        with as_messages("No comparison"):
            return desk.fetch_snapshot(snapshot_id)

    for endpoint in (list_runs, get_report, publish, numbers_link, revoke, fetch_snapshot):
        gr.api(endpoint, api_name=endpoint.__name__)
