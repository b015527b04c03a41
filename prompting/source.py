"""A model's name becomes a checked folder of safetensors: the bundled one, a local folder, an adapter, or a hub id."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

from dialogues.dialogue import Problem, Refused

BUNDLED = "bundled"
BASE_MODELS = Path(__file__).resolve().parents[1] / "assets" / "base-model"
PARAMETERS = {  # as counted in the published weights
    "google/flan-t5-small": 76_961_152,
    "google/flan-t5-base": 247_577_856,
    "google/flan-t5-large": 783_150_080,
    "google/flan-t5-xl": 2_849_757_184,
    "google/flan-t5-xxl": 11_135_332_352,
}
HUB_MODELS = tuple(PARAMETERS)
FAMILY = ("t5", "mt5")
BASE_RECORD = "base.json"  # beside an adapter of ours: the digest of the model that it was learned on
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_FILES = ["config.json", "tokenizer*", "special_tokens_map.json", "*.model", "vocab*", "merges.txt", "*.safetensors*"]

Say = Callable[[str], None]


class ModelRefused(Refused):
    """The model cannot be had, or is none that this house can run."""


class NotFetched(ModelRefused):
    """The hub's files of that name are not on this machine yet."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model's files lie: `folder` holds the full model, `adapter` a LoRA on top of it, or None."""

    name: str
    folder: Path
    adapter: Path | None = None

    @property
    def top(self) -> Path:
        """The folder that a person named: the adapter where there is one."""
        return self.adapter or self.folder

    @property
    def digest(self) -> str:
        """Twelve hex digits of SHA-256 over the bytes of all weights, the base's first."""
        sha = hashlib.sha256()
        for folder in filter(None, (self.folder, self.adapter)):
            for file in weights(folder):
                stat = file.stat()
                sha.update(_file_digest(file, stat.st_size, stat.st_mtime_ns).encode())
        return sha.hexdigest()[:12]


def find(
    source: str,
    base_models: Path = BASE_MODELS,
    say: Say | None = None,
    *,
    fetch: bool = True,
    family: Collection[str] | None = FAMILY,
) -> Source:
    """`find("bundled").folder`: the files of a T5-family model, fetched from the hub only if they are not here yet.

    `source` is "bundled", a local folder (a full model, or a LoRA adapter whose base is found the same way), or a hub
    id. `say` is told in words what takes time; without `fetch` the hub is left alone; `family` None takes any kind of
    model. Raises ModelRefused.
    """
    folder = _folder(source, base_models, say, fetch)
    if not (folder / "adapter_config.json").is_file():
        return Source(_name(source), _checked(folder, source, family))
    base = find(_adapter_base(folder, source), base_models, say, fetch=fetch, family=family)
    if base.adapter:
        raise _refusal(f"{source} is an adapter on another adapter.", "Use an adapter made on a full model.")
    return Source(_name(source), base.folder, folder)


def note_base(adapter: Path, base: Source) -> None:
    """Write beside an adapter which weights it was learned on."""
    (adapter / BASE_RECORD).write_text(json.dumps({"digest": base.digest}), encoding="utf-8")


def check_base(source: Source) -> None:
    """Raises ModelRefused where the base has other weights today than the adapter was learned on, as after an update."""
    if source.adapter is None:
        return
    learned = found = Source(source.name, source.folder).digest
    with suppress(OSError, ValueError, KeyError, TypeError):  # not there, or not ours
        learned = json.loads((source.adapter / BASE_RECORD).read_text(encoding="utf-8"))["digest"]
    if learned != found:
        raise _refusal(
            f"{source.name} was learned on a base model whose weights have changed since ({learned}, now {found}).",
            "Tune again on the one that is here, or bring the old one back.",
        )


def config(folder: Path) -> dict[str, Any]:
    """The model's config.json."""
    record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        raise ValueError("config.json holds no object")
    return record


def weights(folder: Path) -> list[Path]:
    """The safetensors files of a folder in their own order."""
    return sorted(folder.glob("*.safetensors"))


def parameters(source: str, base_models: Path = BASE_MODELS) -> int:
    """How many numbers the model holds: known for the FLAN-T5 names, else counted in the headers of local files.

    Loads no weights and asks no hub. Raises ModelRefused where the files are not here.
    """
    if source in PARAMETERS:
        return PARAMETERS[source]
    found = find(source, base_models, fetch=False)
    return sum(_count(file) for folder in filter(None, (found.folder, found.adapter)) for file in weights(folder))


def _count(file: Path) -> int:
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    return sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def _name(source: str) -> str:
    if source == BUNDLED or (_HUB_ID.fullmatch(source) and not Path(source).is_dir()):
        return source
    return re.sub(r"^checkpoint-(\d+)$", r"checkpoint \1", Path(source).name)


def _folder(source: str, base_models: Path, say: Say | None, fetch: bool) -> Path:
    folder = base_models if source == BUNDLED else Path(source)
    if source and folder.is_dir():
        return folder
    if source == BUNDLED:
        raise _refusal("The bundled model is missing from assets/.", "Fetch the repository's files again.")
    if not _HUB_ID.fullmatch(source):
        remedy = f'Use "{BUNDLED}", a folder that exists, or a hub name such as {HUB_MODELS[0]}.'
        raise _refusal(f"There is no model at {source or 'an empty name'}.", remedy)
    cached = _cached(source)
    if not cached and not fetch:
        reason = f"{source} is not on this machine yet."
        raise NotFetched(Problem(reason, "It is fetched when it is first used.", field="model"))
    return cached or _fetched(source, say)


def _cached(hub_id: str) -> Path | None:
    """The hub's files where this machine has them all."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with suppress(LocalEntryNotFoundError):
        folder = Path(snapshot_download(hub_id, allow_patterns=_FILES, local_files_only=True))
        return folder if weights(folder) and (folder / "config.json").is_file() else None
    return None


def _fetched(hub_id: str, say: Say | None) -> Path:
    from huggingface_hub import snapshot_download

    if say:
        say(f"Fetching {hub_id} from the hub…")
    try:
        return Path(snapshot_download(hub_id, allow_patterns=_FILES))
    except Exception as error:  # the hub client's errors share no base: not found, gated, no network, disk full
        raise _refusal(
            f"{hub_id} is not on this machine and could not be fetched ({type(error).__name__}).",
            f'Check the name and the network, or take the "{BUNDLED}" model, which needs neither.',
        ) from error


def _checked(folder: Path, source: str, family: Collection[str] | None) -> Path:
    try:
        kind = config(folder).get("model_type")
    except (OSError, ValueError) as error:
        raise _refusal(f"{source} has no readable config.json.", "Name a folder that holds a whole model.") from error
    if family is not None and kind not in family:
        raise _refusal(f"{source} is a {kind or 'nameless'} model.", "Only T5-family models can be used here.")
    if not weights(folder):
        raise _refusal(f"{source} has no .safetensors weights.", "Save the model as safetensors and try again.")
    return folder


def _adapter_base(folder: Path, source: str) -> str:
    remedy = "Name a LoRA adapter saved by peft as safetensors."
    try:
        record = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        base, kind = str(record["base_model_name_or_path"]), record["peft_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _refusal(f"{source} does not say which model it adapts.", remedy) from error
    if kind != "LORA" or not weights(folder):
        raise _refusal(f"{source} is no LoRA adapter with .safetensors weights.", remedy)
    return base


@lru_cache(maxsize=256)
def _file_digest(file: Path, size: int, modified: int) -> str:
    """SHA-256 of a file; size and time are in the key so that a changed file is read again."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _refusal(reason: str, remedy: str) -> ModelRefused:
    return ModelRefused(Problem(reason, remedy, field="model"))
