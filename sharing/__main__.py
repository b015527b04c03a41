"""The command line: `python -m sharing publish RUN_ID --reveal numbers --days 30 --key KEY` and its sisters; answers are JSON.

What it does is what the screen and the API do (`sharing/desk.py`). A refusal goes to the error output, status 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dialogues.dialogue import Refused
from sharing.desk import Desk
from sharing.snapshot import REVEAL


def parser() -> argparse.ArgumentParser:
    """What may be written after `python -m sharing`."""
    top = argparse.ArgumentParser(prog="python -m sharing", description="Share what was measured, as the screen does.")
    top.add_argument("--home", type=Path, default=Path(".tuneproof"), help="the app's folder (TUNEPROOF_HOME)")
    commands = top.add_subparsers(dest="command", required=True)
    key = argparse.ArgumentParser(add_help=False)
    key.add_argument("--key", required=True, help="your key: the Compare tab shows it under Share")
    run = argparse.ArgumentParser(add_help=False)
    run.add_argument("run_id")
    page = argparse.ArgumentParser(add_help=False)
    page.add_argument("snapshot_id")
    commands.add_parser("runs", parents=[key], help="list the runs of a key")
    commands.add_parser("report", parents=[run], help="the report of one checkpoint").add_argument("step", type=int)
    publish = commands.add_parser("publish", parents=[run, key], help="make a page; prints its id")
    publish.add_argument("--reveal", choices=list(REVEAL), default="numbers")
    publish.add_argument("--days", type=int, default=90, help="0: until it is revoked")
    commands.add_parser("numbers", parents=[run], help="a signed link that holds the figures itself")
    commands.add_parser("revoke", parents=[page, key], help="take a page down for good")
    commands.add_parser("fetch", parents=[page], help="a published comparison")
    return top


def answer(asked: argparse.Namespace) -> Any:
    """What the desk says to a command. Raises Refused."""
    desk = Desk(asked.home)
    match asked.command:
        case "runs":
            return desk.list_runs(asked.key)
        case "report":
            return desk.get_report(asked.run_id, asked.step)
        case "publish":
            return desk.publish(asked.run_id, asked.reveal, asked.days, asked.key)
        case "numbers":
            return desk.numbers_link(asked.run_id)
        case "revoke":
            return desk.revoke(asked.snapshot_id, asked.key)
    return desk.fetch_snapshot(asked.snapshot_id)


def main(words: Sequence[str] | None = None) -> int:
    """Answer on the output as JSON; 1 and a sentence on the error output where it is refused."""
    try:
        json.dump(answer(parser().parse_args(words)), sys.stdout, ensure_ascii=False)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
