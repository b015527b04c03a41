"""How often the grounding check flags true summaries, and how often it catches a summary of another chat.

python -m benchmarks.grounding                       # the shipped test chats
python -m benchmarks.grounding chats.jsonl more.csv  # any files that the app can read
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dialogues.dialogue import Example, read_examples
from dialogues.upload import read_upload
from evaluation.grounding import GROUNDING, check
from evaluation.significance import Interval, mean_interval

SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "chats" / "test.jsonl"


def percent(hits: Sequence[bool]) -> str:
    """A share with its 95 % bootstrap interval."""
    interval: Interval = mean_interval([100.0 * hit for hit in hits])
    spread = f" ({interval.low:.1f} to {interval.high:.1f})" if interval.low is not None else ""
    return f"{interval.mean or 0.0:.1f} %{spread}"


def show(name: str, examples: Sequence[Example]) -> None:
    """Print both shares and, by kind, how many of the true references are flagged."""
    started = time.perf_counter()
    true = [check(reference, example.dialogue) for example in examples for reference in example.references]
    seconds = time.perf_counter() - started
    half = len(examples) // 2
    pairs = zip(examples[half:] + examples[:half], examples, strict=True)
    foreign = [check(other.references[0], example.dialogue) for other, example in pairs]
    kinds = Counter(kind for found in true for kind in {verdict.kind for verdict in found if verdict.unsupported})
    print(
        f"{name}: {len(examples)} chats, {len(true)} references, {GROUNDING}, {1000 * seconds / len(true):.1f} ms each"
    )
    print(f"  true summaries flagged    {percent([any(v.unsupported for v in found) for found in true])}")
    print(
        "  by kind                  ",
        ", ".join(f"{kind} {100 * n / len(true):.1f} %" for kind, n in kinds.most_common()),
    )
    print(f"  other chat's summary caught  {percent([any(v.unsupported for v in found) for found in foreign])}")


if __name__ == "__main__":
    show("shipped test chats", list(read_examples(SHIPPED)))
    for path in map(Path, sys.argv[1:]):
        show(path.name, [example for _, example in read_upload(path, path.name).examples])
