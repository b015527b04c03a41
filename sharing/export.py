"""A checkpoint as a folder for others to load: `python -m sharing.export RUN_FOLDER STEP --to FOLDER`, to the hub, for CTranslate2."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from dialogues.dialogue import Problem, Refused
from prompting.model import open_tokenizer, open_weights
from prompting.source import find
from sharing.parcel import card, contents, generation
from tuning.runs import Run, RunRefused, run_at

SERVED = "ctranslate2"  # the folder in the export that CTranslate2 reads


def export(run: Run, step: int, to: Path, merge: bool = False) -> Path:
    """Write checkpoint `step` and its model card into the new folder `to`; no chat goes in.

    An adapter stays one unless it is to be merged into its base model. Raises RunRefused where the checkpoint is not
    whole or the folder holds something already.
    """
    if not step or not (run.checkpoint_folder(step) / "whole.json").is_file():
        raise _refusal(f"There is no checkpoint {step}.", f"Choose one of {_steps(run) or 'those to come'}.")
    if to.exists() and any(to.iterdir()):
        raise _refusal(f"{to} is not empty.", "Give a new folder.")
    to.mkdir(parents=True, exist_ok=True)
    if merge and run.plan.adapts:
        _merged(run, step, to)
        return to
    for name, content in contents(run, step).items():
        (to / name).write_text(content, encoding="utf-8") if isinstance(content, str) else shutil.copy(
            content, to / name
        )
    return to


def _merged(run: Run, step: int, to: Path) -> None:
    source = find(run.checkpoint_source(step))
    open_weights(source, "float32").save_pretrained(to)
    open_tokenizer(source.folder).save_pretrained(to)
    (to / "generation_config.json").write_text(json.dumps(generation(to)), encoding="utf-8")
    (to / "README.md").write_text(card(run, step, merged=True), encoding="utf-8")


def for_ctranslate2(folder: Path) -> Path:
    """Convert an exported model for CTranslate2, into a folder in it. Raises RunRefused where that cannot be."""
    _want_ctranslate2()
    from ctranslate2.converters import TransformersConverter

    try:
        return Path(TransformersConverter(str(folder)).convert(str(folder / SERVED)))
    except (ValueError, TypeError, AttributeError, KeyError) as error:  # as it is raised for models it does not know
        reason = f"CTranslate2 cannot convert this model ({error})."
        raise _refusal(reason, "It wants a T5 whose tokenizer has pad, end and unknown tokens.") from error


def push(folder: Path, repo_id: str) -> str:
    """Upload an exported folder to a private repository of the hub; its address. The token is HF_TOKEN's, read by the hub's library."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    _want_token()
    try:
        HfApi().create_repo(repo_id, private=True, exist_ok=True)
        return str(
            HfApi().upload_folder(repo_id=repo_id, folder_path=folder, commit_message="From TuneProof").commit_url
        )
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        reason = f"{repo_id} could not be pushed to the hub ({' '.join(str(error).split())[:300]})."
        raise _refusal(reason, f"The export is in {folder}; try again with `hf upload`.") from error


def parser() -> argparse.ArgumentParser:
    """What may be written after `python -m sharing.export`."""
    top = argparse.ArgumentParser(prog="python -m sharing.export", description="A checkpoint for others to load.")
    top.add_argument("run", type=Path, help="the run's folder")
    top.add_argument("step", type=int, help="the checkpoint")
    top.add_argument("--to", type=Path, required=True, help="a new folder")
    top.add_argument("--merge", action="store_true", help="a LoRA becomes a whole model")
    top.add_argument("--ctranslate2", action="store_true", help="convert it for CTranslate2 as well (merges a LoRA)")
    top.add_argument("--push", metavar="REPO_ID", help="upload it to a private repository of the hub (HF_TOKEN)")
    return top


def main(words: Sequence[str] | None = None) -> int:
    """0 when all was done; 1 and a sentence on the error output where something is refused."""
    asked = parser().parse_args(words)
    try:
        run = run_at(asked.run)
        _refuse_beforehand(asked)
        folder = export(run, asked.step, asked.to, asked.merge or asked.ctranslate2)
        print(folder)
        if asked.ctranslate2:
            print(for_ctranslate2(folder))
        if asked.push:
            print(push(folder, asked.push))
    except Refused as refusal:
        print(*refusal.problems, sep="\n", file=sys.stderr)
        return 1
    return 0


def _refuse_beforehand(asked: argparse.Namespace) -> None:
    """What would else fail after gigabytes are written."""
    if asked.ctranslate2:
        _want_ctranslate2()
    if asked.push:
        _want_token()
    if asked.to.is_file():
        raise _refusal(f"{asked.to} is a file.", "Name a new folder for --to.")


def _want_ctranslate2() -> None:
    if not find_spec("ctranslate2"):
        raise _refusal("CTranslate2 is not installed.", "pip install ctranslate2, or leave --ctranslate2 out.")


def _want_token() -> None:
    from huggingface_hub import get_token

    if not get_token():
        raise _refusal("The hub wants a token.", "Set HF_TOKEN to one that may write.")


def _steps(run: Run) -> str:
    return ", ".join(str(point.step) for point in run.checkpoints()[1:])


def _refusal(reason: str, remedy: str) -> RunRefused:
    return RunRefused(Problem(reason, remedy, field="export"))


if __name__ == "__main__":
    sys.exit(main())
