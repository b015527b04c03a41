"""The roof: reads the environment once and opens the door."""

from __future__ import annotations

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: nobody is told what runs here
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is: spinning threads starve a training beside us

from pathlib import Path

from tuning.jobs import watch
from ui.house import build, launch_settings
from ui.settings import Settings

ROOT = Path(__file__).resolve().parent


def settings_from_environment() -> Settings:
    """`TUNEPROOF_HOME` says where runs and published pages are kept: else /data where a Space mounts it, else here.

    `TUNEPROOF_KEY` signs numbers links: give it where the home folder does not last, so that they stay "issued here".
    `TUNEPROOF_REPORT_TO` names trackers for runs, such as "trackio" or "tensorboard,mlflow"; none unless given.
    """
    mounted = Path("/data")
    usual = mounted / "tuneproof" if os.access(mounted, os.W_OK) else ROOT / ".tuneproof"
    home = Path(os.environ.get("TUNEPROOF_HOME") or usual)
    key = os.environ.get("TUNEPROOF_KEY", "")
    trackers = tuple(name.strip() for name in os.environ.get("TUNEPROOF_REPORT_TO", "").split(",") if name.strip())
    return Settings(home, ROOT / "assets", local_models="SPACE_ID" not in os.environ, trackers=trackers, key=key)


settings = settings_from_environment()
demo = build(settings)

if __name__ == "__main__":
    host = os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    port = int(os.environ.get("GRADIO_SERVER_PORT") or 7860)
    watch(settings.runs)
    demo.launch(server_name=host, server_port=port, **launch_settings(settings))
