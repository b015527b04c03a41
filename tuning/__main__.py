"""The command line: `python -m tuning PLAN.toml` does what the Tune tab does; `python -m tuning RUN_FOLDER` resumes a run.

    data = "chats.csv"            # or "sample": the chats we ship; read as the Tune tab reads an upload
    name = "Billing team"
    base_model = "bundled"        # all below may be left out: test, home, method, size, template, steps, batch_size,
    size = "quick"                # learning_rate, window, precision, seed, report_to (a tracker: trackio, tensorboard, wandb or mlflow)

The run stands in the same line as those of the screen, is kept in `home` (".tuneproof" beside the plan unless given) and
is opened in the app by the id that is printed. It belongs to the secret in `home/command-line.key`, so that nobody's list
of runs names it. Ctrl-C leaves it running.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import time
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dialogues.dialogue import Dataset, Problem, Refused
from dialogues.split import split_examples
from dialogues.upload import read_upload
from tuning import jobs, line
from tuning.forecast import forecast, in_words, time_step
from tuning.plan import PlanRefused, propose
from tuning.runs import FINISHED, WAITING, Progress, Run, create, run_at

SAMPLE = Path(__file__).resolve().parents[1] / "assets" / "chats"
CHOICES = ("base_model", "method", "size", "template")
OWN = ("steps", "batch_size", "learning_rate", "window", "precision", "seed")
NUMBERS: dict[str, Any] = {"steps": int, "batch_size": int, "learning_rate": int | float, "window": int, "seed": int}
KEYS = {"data", "test", "name", "home", "report_to", *CHOICES, *OWN}


def main(path: Path) -> int:
    """Begin or resume, then follow to the end; 0 when the run finished. Refusals go to stderr, all of them."""
    try:
        run = _resumed(run_at(path)) if path.is_dir() else _begun(path)
        return 0 if follow(run).state == FINISHED else 1
    except Refused as refusal:
        print(*refusal.problems, sep="\n", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("The run goes on without this command; the app shows it.", file=sys.stderr)
        return 130


def _resumed(run: Run) -> Run:
    jobs.resume(run)
    return run


def _begun(path: Path) -> Run:
    chosen = _read(path)
    trackers = [chosen["report_to"]] if "report_to" in chosen else []
    jobs.check_trackers(trackers)
    home = path.parent / chosen.get("home", ".tuneproof")
    (home / "runs").mkdir(parents=True, exist_ok=True)
    dataset = _dataset(path.parent, chosen)
    free = shutil.disk_usage(home).free
    given: dict[str, Any] = {key: chosen[key] for key in (*CHOICES, *OWN) if key in chosen}
    plan = propose(dataset, free_bytes=free, **given)
    if not line.training(home / "runs"):  # else both would be held up
        time_step(plan, dataset)
    known = forecast(plan, dataset)
    print(*known.consequences, sep="\n")
    run = create(home / "runs", plan, dataset, str(chosen.get("name") or dataset.name), _owner(home))
    jobs.enqueue(run, known.seconds, trackers)
    print(f"Run {run.id} in {run.folder}")
    return run


def _owner(home: Path) -> str:
    """Whose the runs begun from here are: a secret made once and readable by nobody else, in `home/command-line.key`."""
    path = home / "command-line.key"
    with (
        suppress(FileExistsError),
        os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file,
    ):
        file.write(secrets.token_hex(32))
    return path.read_text(encoding="ascii")


def _read(path: Path) -> dict[str, Any]:
    try:
        chosen = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlanRefused(Problem(f"{path} cannot be read: {error}.", "Give a TOML file or a run's folder.")) from error
    wrong = [
        Problem(f"There is no setting {key!r}.", f"Known are {', '.join(sorted(KEYS))}.", field=key)
        for key in chosen
        if key not in KEYS
    ]
    wrong += [
        Problem(
            f"{key} is {value!r}.", "Write it as " + ("text in quotes." if type_ is str else "a number."), field=key
        )
        for key, value in chosen.items()
        if not isinstance(value, type_ := NUMBERS.get(key, str)) and key in KEYS
    ]
    if "data" not in chosen:
        wrong.append(Problem("There are no chats.", 'Say data = "FILE", or data = "sample".', field="data"))
    if wrong:
        raise PlanRefused(*wrong)
    return chosen


def _dataset(beside: Path, chosen: dict[str, Any]) -> Dataset:
    if chosen["data"] == "sample":
        return Dataset.load(SAMPLE)
    reading, *others = (read_upload(beside / chosen[key], chosen[key]) for key in ("data", "test") if key in chosen)
    tested = [example for other in others for _, example in other.examples]
    dataset, left_out = split_examples(Path(reading.name).stem, reading.examples, tested)
    print(*(problem for problem in (*reading.problems, *left_out)), sep="\n", file=sys.stderr)
    return dataset


def follow(run: Run) -> Progress:
    """Show a progress bar until the run is over; keeps the line moving meanwhile."""
    with tqdm(total=run.plan.steps, unit="step", disable=None) as bar:
        while not (progress := run.progress()).over:
            bar.n = progress.step
            bar.set_postfix_str(_beside(run, progress))
            jobs.advance(run.folder.parent)
            time.sleep(1.0)
        bar.n = progress.step
    print(f"{progress.state.capitalize()}. {progress.message}" if progress.state != FINISHED else progress.message)
    return progress


def _beside(run: Run, progress: Progress) -> str:
    if progress.state == WAITING:
        place = line.place(run)
        return f"place {place.number} in line" if place else progress.message
    if not progress.loss_curve:
        return progress.message
    left = "" if progress.eta_seconds is None else f", {in_words(progress.eta_seconds)} left"
    return f"loss {progress.loss_curve[-1][1]:.3f}{left}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, metavar="PLAN.toml or RUN_FOLDER")
    sys.exit(main(parser.parse_args().plan))
