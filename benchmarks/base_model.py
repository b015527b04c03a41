"""What the bundled base model is worth: `python -m benchmarks.base_model --data FOLDER [--pretrained FOLDER] [--limit N]`.

FOLDER is the recipe's data folder; with `dialogsum/` in it, DialogSum dev is summarised zero-shot beside LEAD-3. Each
held-out task of the mixture is answered by the model, by a baseline that reads nothing, and by `--pretrained`, the
same model before its first task. Baselines: the commonest answer where an answer is right or wrong; else the chat's first
or last turn, copied, whichever does better on these very cases. Differences are paired; intervals are 95 % bootstrap. Last come the times on one core.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

import torch

from dialogues.dialogue import Dialogue, Turn
from evaluation.measure import lead3
from evaluation.rouge import ROUGE, rouge
from evaluation.significance import Interval, mean_interval, paired_difference
from prompting.catalog import DEFAULT
from prompting.model import Decoding, Summarizer, load
from tuning.chat_rows import ChatRows
from tuning.mixture import Case, Task
from tuning.mixture_file import read_mixture
from tuning.pretrain import MIXTURE

SEED = 11
Scored = tuple[str, list[float]]  # a way to answer, and its score in each case


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--pretrained", help="folder of the model before its first task")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=200, help="chats or cases a set")
    given = parser.parse_args()
    start = time.perf_counter()
    model = load(given.model)
    opened = time.perf_counter() - start
    before = load(given.pretrained) if given.pretrained else None
    print(f"{model.name}@{model.digest}  {ROUGE}  {Decoding().signature}  seed {SEED}")
    dev = given.data / "dialogsum" / "dialogsum.dev.jsonl"
    if dev.exists():
        dialogsum(model, dev, given.limit)
    else:
        print("DialogSum dev is not in the data folder: left out.", file=sys.stderr)
    for task in read_mixture(MIXTURE, given.data).held_out:
        held_out(task, given.data, model, before, given.limit)
    speed(model, opened)


def dialogsum(model: Summarizer, dev: Path, limit: int) -> None:
    """Zero-shot against LEAD-3 on dev dialogues that the training split does not hold as well."""
    seen = {row["dialogue"] for row in _rows(dev.with_name("dialogsum.train.jsonl"))}
    rows = [row for row in _rows(dev) if row["dialogue"] not in seen][:limit]
    chats = [_dialogue(row["dialogue"]) for row in rows]
    written = [one.text for one in model.summarize([DEFAULT.render(chat) for chat in chats], Decoding())]
    for score in ("rouge1", "rouge2", "rougeL"):
        ours = [rouge(text, [row["summary"]])[score] for text, row in zip(written, rows, strict=True)]
        lead = [rouge(lead3(chat), [row["summary"]])[score] for chat, row in zip(chats, rows, strict=True)]
        _say(f"DialogSum dev, zero-shot, {score}", ours, ("LEAD-3", lead))


def held_out(task: Task, data: Path, model: Summarizer, before: Summarizer | None, limit: int) -> None:
    """The model on cases of a task it was never taught, on chats it never saw."""
    cases = fresh_cases(task, data, limit, SEED)
    prompts = [case.prompt for case in cases]
    decoding = Decoding(max_new_tokens=64)
    scores = _scores(task, [one.text for one in model.summarize(prompts, decoding)], cases)
    others = [max(_blind(task, cases), key=lambda one: mean(one[1]))]
    if before:
        others.append(
            ("before its first task", _scores(task, [one.text for one in before.summarize(prompts, decoding)], cases))
        )
    _say(f"held out: {task.name} ({task.metric})", scores, *others)


def fresh_cases(task: Task, data: Path, count: int, seed: int) -> list[Case]:
    """Up to `count` cases of a task; those about the recipe's chats on the ones that were kept from it."""
    rows = ChatRows(data, kept=True) if isinstance(task.rows, ChatRows) else task.rows
    rng, fresh = random.Random(seed), replace(task, rows=rows)
    return [case for _ in range(count) if (case := fresh.case(rng))]


def _blind(task: Task, cases: Sequence[Case]) -> list[Scored]:
    """What reads nothing: the commonest answer, or the first and the last turn in the prompt, with their scores."""
    if task.metric == "exact":
        commonest = Counter(case.answer for case in cases).most_common(1)[0][0]
        return [(f"commonest answer ({commonest})", _scores(task, [commonest] * len(cases), cases))]
    turns = [re.findall(r"(?m)^[#\w ]+: (.+)$", case.prompt) or [""] for case in cases]
    return [
        (f"{name} turn copied", _scores(task, [said[place] for said in turns], cases))
        for name, place in (("first", 0), ("last", -1))
    ]


def _scores(task: Task, texts: Sequence[str], cases: Sequence[Case]) -> list[float]:
    if task.metric == "exact":
        return [100.0 * (_plain(text) == _plain(case.answer)) for text, case in zip(texts, cases, strict=True)]
    return [rouge(text, [case.answer])["rougeL"] or 0.0 for text, case in zip(texts, cases, strict=True)]


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()


def _say(what: str, ours: Sequence[float | None], *others: tuple[str, Sequence[float | None]]) -> None:
    print(f"\n{what}: {_interval(mean_interval(ours))}, n = {len(ours)}")
    for name, theirs in others:
        print(f"  {name} {_interval(mean_interval(theirs))}; difference {_interval(paired_difference(ours, theirs))}")


def _interval(found: Interval) -> str:
    return f"{found.mean:.1f} ({found.low:.1f} to {found.high:.1f})"


def speed(model: Summarizer, opened: float) -> None:
    """First token and a summary of some 300 tokens' chat, each the median of five on one core, and how long loading took."""
    torch.set_num_threads(1)
    turn = Turn("Customer", "My parcel with order number 48213 has not arrived yet and I need it on Friday.")
    prompt = DEFAULT.render(Dialogue("speed", (turn, Turn("Agent", "I am sorry, let me look where it is.")) * 7))
    first, whole = [], []
    for _ in range(5):
        start = time.perf_counter()
        next(iter(model.stream(prompt, Decoding())))
        first.append(time.perf_counter() - start)
        start = time.perf_counter()
        summary = model.summarize([prompt], Decoding(max_new_tokens=60, loop=0))[0]
        whole.append(time.perf_counter() - start)
    print(
        f"\none core: loaded in {opened:.2f} s (imports included); first token after {1000 * sorted(first)[2]:.0f} ms; "
        f"{summary.tokens_out} tokens about {summary.tokens_in} in {sorted(whole)[2]:.2f} s"
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _dialogue(text: str) -> Dialogue:
    parts = (line.partition(": ") for line in text.splitlines() if ": " in line)
    return Dialogue("dialogsum", tuple(Turn(who, said) for who, _, said in parts))


if __name__ == "__main__":
    main()
