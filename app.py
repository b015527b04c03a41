"""The roof: reads the environment once and opens the door."""

from __future__ import annotations

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: nobody is told what runs here
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is: spinning threads starve a training beside us

from pathlib import Path

from tuning.engine import choose
from tuning.jobs import watch
from tuning.quota import Quota
from ui.house import build, launch_settings
from ui.settings import Settings

ROOT = Path(__file__).resolve().parent


def settings_from_environment() -> Settings:
    """`TUNEPROOF_HOME` says where runs and published pages are kept: else /data where a Space mounts it, else here.

    `TUNEPROOF_KEY` signs numbers links: give it where the home folder does not last, so that they stay "issued here".
    `TUNEPROOF_REPORT_TO` names trackers for runs, such as "trackio" or "tensorboard,mlflow"; none unless given.
    `TUNEPROOF_RUNS_IN_LINE`, `TUNEPROOF_RUNS_KEPT` and `TUNEPROOF_DISK_GB` bound what each visitor may have at once.
    """
    mounted = Path("/data")
    usual = mounted / "tuneproof" if os.access(mounted, os.W_OK) else ROOT / ".tuneproof"
    home = Path(os.environ.get("TUNEPROOF_HOME") or usual)
    key = os.environ.get("TUNEPROOF_KEY", "")
    trackers = tuple(name.strip() for name in os.environ.get("TUNEPROOF_REPORT_TO", "").split(",") if name.strip())
    local = "SPACE_ID" not in os.environ
    return Settings(home, ROOT / "assets", local_models=local, trackers=trackers, key=key, quota=_quota())


def _quota() -> Quota:
    usual = Quota()
    return Quota(
        _whole_number("TUNEPROOF_RUNS_IN_LINE", usual.in_line),
        _whole_number("TUNEPROOF_RUNS_KEPT", usual.kept),
        _whole_number("TUNEPROOF_DISK_GB", usual.disk_bytes // 10**9) * 10**9,
    )


def _whole_number(name: str, usual: int) -> int:
    """What the environment says, at least 1. Ends the app with a sentence where that is no number."""
    text = os.environ.get(name) or str(usual)
    if not text.isdecimal() or int(text) < 1:
        raise SystemExit(f"{name} is {text!r}. Write a whole number above zero, or leave it out for {usual}.")
    return int(text)


settings = settings_from_environment()
demo = build(settings)

if __name__ == "__main__":
    host = os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    port = int(os.environ.get("GRADIO_SERVER_PORT") or 7860)
    choose(settings.runs, os.environ.get("RAY_ADDRESS", ""))
    watch(settings.runs)
    demo.launch(server_name=host, server_port=port, **launch_settings(settings))
