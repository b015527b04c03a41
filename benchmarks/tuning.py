"""Real tokens a second in tuning, ours beside what people use: `python benchmarks/tuning.py DIALOGSUM.jsonl [--rounds 3]`.

FILE holds one JSON object a line with `dialogue` and `summary`. Every way trains the same model shape on the same pairs in
batches of `--batch`; rounds of all ways follow each other in one process with one thread, and on a CPU its own seconds are
what is counted, so that a busy machine is busy for all of them.
A real token is one of a prompt or a summary; padding does not count. Printed are medians, and the ratio to the second way
with the smallest and largest ratio of a round; on a GPU also the share of its measured bf16 matmul peak that the
real tokens' arithmetic comes to. The losses of each way are compared at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import DataCollatorForSeq2Seq, Seq2SeqTrainer, Seq2SeqTrainingArguments, T5Config
from transformers import T5ForConditionalGeneration as T5  # noqa: N814

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from prompting.catalog import DEFAULT
from prompting.model import encode, open_tokenizer
from prompting.source import find
from tuning.pretrain import matmul_peak
from tuning.trainer import Tuner

WINDOW = 512
ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")


def shaped(**shape: int) -> T5:
    """A model of one of FLAN-T5's true shapes with random weights."""
    with DEVICE:
        return T5(
            T5Config(
                vocab_size=32128, d_kv=64, feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0,
                initializer_factor=0.05, **shape,
            )
        )  # fmt: skip


SHAPES = {
    "bundled": lambda: T5.from_pretrained(find("bundled").folder, dtype=torch.float32),
    "flan-t5-small": lambda: shaped(d_model=512, d_ff=1024, num_layers=8, num_heads=6),
    "flan-t5-base": lambda: shaped(d_model=768, d_ff=2048, num_layers=12, num_heads=12),
    "flan-t5-large": lambda: shaped(d_model=1024, d_ff=2816, num_layers=24, num_heads=16),
}


class Course(DataCollatorForSeq2Seq):
    """The course lab: prompt and summary of every pair padded to the window."""

    def __call__(self, features: Any, return_tensors: Any = None) -> Any:
        for pair in features:
            pair["labels"] = [*pair["labels"], *[-100] * (WINDOW - len(pair["labels"]))]
        self.padding, self.max_length = "max_length", WINDOW
        return super().__call__(features, return_tensors)


WAYS: dict[str, tuple[type, type, dict[str, Any]]] = {
    "course lab: padded to 512": (Seq2SeqTrainer, Course, {}),
    "run_summarization.py, its defaults": (Seq2SeqTrainer, DataCollatorForSeq2Seq, {}),
    "the same, grouped by length": (
        Seq2SeqTrainer, DataCollatorForSeq2Seq, {"train_sampling_strategy": "group_by_length"},
    ),
    "the same, grouped by length, in bf16": (
        Seq2SeqTrainer, DataCollatorForSeq2Seq, {"train_sampling_strategy": "group_by_length", "bf16": True},
    ),
    "TuneProof, fp32": (Tuner, DataCollatorForSeq2Seq, {}),
    "TuneProof, bf16": (Tuner, DataCollatorForSeq2Seq, {"bf16": True}),
}  # fmt: skip


def pairs(file: Path, tokenizer: Any, count: int) -> list[dict[str, list[int]]]:
    """Prompt and summary of the first `count` dialogues in tokens, cut as in tuning."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines()[:count]:
        row = json.loads(line)
        ids, _ = encode(tokenizer, DEFAULT.pattern.replace("{dialogue}", row["dialogue"]), WINDOW)
        labels, _ = encode(tokenizer, row["summary"], WINDOW)
        found.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels})
    return found


def clock() -> float:
    """Seconds of a GPU's wall clock; on a CPU those that this process had of it, so that other work counts for nobody."""
    return time.perf_counter() if ON_GPU else time.process_time()


def trained(
    way: str, model: Any, tokenizer: Any, data: list[dict[str, list[int]]], size: int
) -> tuple[float, float, float]:
    """(real tokens a second of one pass over the data, arithmetic of those tokens a second, the pass's mean loss)."""
    trainer, collator, settings = WAYS[way]
    run = trainer(
        model=model,
        args=Seq2SeqTrainingArguments(
            tempfile.gettempdir(), num_train_epochs=1, per_device_train_batch_size=size, learning_rate=1e-4, use_cpu=not ON_GPU,
            report_to="none", disable_tqdm=True, save_strategy="no", logging_strategy="no", seed=0, **settings,
        ),
        train_dataset=[dict(pair) for pair in data],
        data_collator=collator(tokenizer),
        processing_class=tokenizer,
    )  # fmt: skip
    run.callback_handler.callbacks = [
        one for one in run.callback_handler.callbacks if "Printer" not in type(one).__name__
    ]
    began = clock()
    loss = run.train().training_loss
    passed = clock() - began
    read, written = (sum(len(pair[side]) for pair in data) for side in ("input_ids", "labels"))
    prompt, summary = passed_by(model)
    return (read + written) / passed, 6 * (prompt * read + summary * written) / passed, loss


def passed_by(model: Any) -> tuple[int, int]:
    """Parameters that a token of a prompt, and one of a summary, is multiplied with; a prompt also gives keys and values to the decoder."""
    crossing = ("EncDecAttention.k.", "EncDecAttention.v.")
    sizes = {name: one.numel() for name, one in model.named_parameters() if "shared" not in name and "embed_tokens" not in name}  # fmt: skip
    prompt = sum(size for name, size in sizes.items() if name.startswith("encoder.") or any(part in name for part in crossing))  # fmt: skip
    tied = (
        model.shared.weight.numel() if model.config.tie_word_embeddings else 0
    )  # the output layer, else counted as its own
    return prompt, sum(sizes.values()) - prompt + tied


def measure(make: Callable[[], Any], tokenizer: Any, data: list[dict[str, list[int]]], rounds: int, size: int) -> None:
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    work: dict[str, list[float]] = {way: [] for way in WAYS}
    losses: dict[str, float] = {}
    peak = matmul_peak(DEVICE) if ON_GPU else math.nan
    for _ in range(rounds):
        for way in WAYS:
            torch.manual_seed(0)
            speed, arithmetic, losses[way] = trained(way, make(), tokenizer, data, size)
            speeds[way].append(speed)
            work[way].append(arithmetic)
    base = speeds[list(WAYS)[1]]
    if ON_GPU:
        print(f"Matmul peak in bf16: {peak / 1e12:.0f} TFLOP/s\n")
    print("| way | real tokens/s | ratio (smallest to largest) | share of the peak | mean loss of the pass |")
    print("|---|---|---|---|---|")
    for way, found in speeds.items():
        ratios = sorted(one / other for one, other in zip(found, base, strict=True))
        spread = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        share = f"{median(work[way]) / peak:.1%}" if ON_GPU else "–"  # a CPU's seconds are its own
        print(f"| {way} | {median(found):,.0f} | {spread} | {share} | {losses[way]:.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("file", type=Path)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8, help="pairs a step")
    parser.add_argument("--shape", choices=SHAPES, action="append")
    given = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = open_tokenizer(find("bundled").folder)
    data = pairs(given.file, tokenizer, given.pairs)
    device = torch.cuda.get_device_name() if ON_GPU else f"{torch.get_num_threads()} CPU threads"
    for shape in given.shape or list(SHAPES)[:2]:
        print(
            f"\n{shape}: {len(data)} pairs, batches of {given.batch}, {given.rounds} rounds, {device}, torch {torch.__version__}\n"
        )
        measure(SHAPES[shape], tokenizer, data, given.rounds, given.batch)


if __name__ == "__main__":
    main()
