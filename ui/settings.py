"""What the roof tells the screens: where things are kept and what visitors may do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from dialogues.dialogue import Dataset, Example, Problem
from evaluation.comparison import Comparison
from prompting.source import BUNDLED, ModelRefused
from sharing.link import signing_key
from sharing.snapshot import Snapshots
from tuning.quota import Quota

RECORDED = "recorded"  # what the comparison we ship is called among runs


@dataclass(frozen=True, slots=True)
class Settings:
    """`home` holds runs and published pages; `assets` what we ship; `local_models` lets visitors name a folder; `key` signs numbers links."""

    home: Path
    assets: Path
    local_models: bool = True
    trackers: tuple[str, ...] = ()  # that runs report to, besides their own folder
    key: str = ""
    quota: Quota = field(default_factory=Quota)  # of each visitor

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    @property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.home / "published")

    @property
    def signing_key(self) -> str:
        """The key given, else the app's own, which is made once and kept in its home."""
        return self.key or signing_key(self.home)

    @property
    def base_model(self) -> Path:
        return self.assets / "base-model"

    def permitted(self, model: str) -> str:
        """The model's name as given. Raises ModelRefused for a folder where visitors may not name one."""
        if not isinstance(model, str):
            raise ModelRefused(Problem("No model is chosen.", "Choose one from the list.", field="model"))
        if self.local_models or model == BUNDLED or (not Path(model).exists() and model.count("/") == 1):
            return model
        remedy = "Choose one from the list, or give a hub id such as google/flan-t5-small."
        raise ModelRefused(Problem(f"{model} is neither on the list nor a hub id.", remedy, field="model"))

    def sample_set(self) -> Dataset:
        """The chats we ship."""
        return _sample_set(self.assets / "chats")

    def samples(self) -> list[Example]:
        """One chat of each test situation, for the Prompt tab."""
        return list({example.facts["situation"]: example for example in self.sample_set().splits["test"]}.values())

    def recorded(self) -> Comparison | None:
        """The comparison we ship, so that nobody meets an empty screen; None where it was left out."""
        return _recorded(self.assets / "recorded" / "comparison.json")


@lru_cache(maxsize=1)
def _sample_set(folder: Path) -> Dataset:
    return Dataset.load(folder)


@lru_cache(maxsize=1)
def _recorded(path: Path) -> Comparison | None:
    return Comparison.from_json(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
