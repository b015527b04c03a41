"""The bundled base model's recipe: a tokenizer, span corruption and a mixture of chat tasks, from scratch on CPU or GPU.

    python -m tuning.pretrain --data FOLDER --out FOLDER --minutes 60 [--mixture FILE] [--from FOLDER] [--toy]

FOLDER of `--data` holds `corpus/` and `star/` as `tuning.chats` and the mixture read them. `--out` receives `tokenizer/`, `arrays/`, `state.pt` (so that
the same command goes on where it stopped) and `model/`, a whole model in bf16 after every save. `--minutes` is training time in all.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from dialogues.dialogue import Problem, Refused
from prompting.catalog import TEMPLATES
from tuning import objective
from tuning.batches import PRETRAINING, batch, load
from tuning.chat_rows import ChatRows
from tuning.muon import BatchedMuon
from tuning.prepare import LONGEST, ON_GPU, TOY, Recipe, prepare
from tuning.tokenizer import EOS, PAD

MIXTURE = Path(__file__).resolve().parents[1] / "assets" / "mixture.yaml"
LATER = 0.5  # of the way: where training begins that is given weights; past plain text, and the rate falls from its top


def new_model(recipe: Recipe, vocabulary: int) -> T5ForConditionalGeneration:
    """A fresh T5 v1.1-shaped model; the input embedding is also the output layer, which makes copying easy to learn."""
    torch.manual_seed(recipe.seed)
    shape: dict[str, Any] = {
        "d_model": recipe.width,
        "d_kv": recipe.width // recipe.heads,
        "d_ff": recipe.inner,
        "num_heads": recipe.heads,
    }
    config = T5Config(
        vocab_size=vocabulary, num_layers=recipe.layers, num_decoder_layers=recipe.decoder_layers, feed_forward_proj="gated-gelu", dropout_rate=0.0,
        tie_word_embeddings=True, n_positions=512, pad_token_id=PAD, eos_token_id=EOS, decoder_start_token_id=PAD, **shape,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    look_around(model)
    return model


@torch.no_grad()
def look_around(model: T5ForConditionalGeneration) -> None:
    """Let the first head start out on the token before, the second on the one after (in the decoder: two before).

    Copying needs "what stood after this?" in every layer; from a random start that takes millions of tokens to arise.
    """
    for stack, second in ((model.encoder, model.encoder.block[0].layer[0].SelfAttention.relative_attention_num_buckets // 2 + 1), (model.decoder, 2)):  # fmt: skip
        bias = stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight  # (distance, head)
        bias.zero_()
        bias[1, 0] = bias[second, 1] = 4.0


def optimizers(model: T5ForConditionalGeneration, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, fused AdamW for embeddings, biases and norms.

    T5 does not scale its attention scores, so a query matrix must move slower by the root of the head's width: at the full
    rate the scores saturate within a hundred steps and the model never learns where to look.
    """
    named = dict(model.named_parameters())
    inner = {
        name: one for name, one in named.items() if one.ndim == 2 and "shared" not in name and "relative" not in name
    }
    queries = [one for name, one in inner.items() if name.endswith(".q.weight")]
    others = [one for name, one in inner.items() if not name.endswith(".q.weight")]
    outer = [one for name, one in named.items() if name not in inner]
    slower = recipe.muon_rate * model.config.d_kv**-0.5
    return [
        BatchedMuon(
            [{"params": others, "lr": recipe.muon_rate}, {"params": queries, "lr": slower}],
            lr=recipe.muon_rate,
            weight_decay=0.01,
        ),
        torch.optim.AdamW(outer, lr=recipe.adam_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def rate(step: int, progress: float) -> float:
    """The share of the top rate: warm-up over 60 steps, flat, then down to zero over the last half of the time."""
    return min(1.0, step / 60) * min(1.0, max(0.0, (1 - progress) / 0.5))


@dataclass
class Training:
    """What `state.pt` holds: the model and optimizers, and how far they are."""

    model: T5ForConditionalGeneration
    optimizers: list[torch.optim.Optimizer]
    step: int = 0
    seconds: float = 0.0
    tokens: int = 0

    def save(self, out: Path) -> None:
        """Write `state.pt` in one move, then `model/` in bf16."""
        state = {"model": self.model.state_dict(), "optimizers": [one.state_dict() for one in self.optimizers]}
        torch.save(state | {"step": self.step, "seconds": self.seconds, "tokens": self.tokens}, out / "state.tmp")
        (out / "state.tmp").replace(out / "state.pt")
        export(self.model, out / "tokenizer", out / "model")

    def restore(self, out: Path) -> None:
        """Go on from `state.pt`, if there is one."""
        if (out / "state.pt").exists():
            state = torch.load(out / "state.pt", weights_only=True, map_location=self.model.device)
            self.model.load_state_dict(state["model"])
            for one, saved in zip(self.optimizers, state["optimizers"], strict=True):
                one.load_state_dict(saved)
            self.step, self.seconds, self.tokens = state["step"], state["seconds"], state["tokens"]


def export(model: T5ForConditionalGeneration, tokenizer: Path, folder: Path) -> None:
    """Write config, bf16 safetensors and the tokenizer's files into `folder`, replacing what is there at the end."""
    draft = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    deepcopy(model).to(torch.bfloat16).save_pretrained(draft)
    shutil.copytree(tokenizer, draft, dirs_exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def learn(training: Training, step_batch: dict[str, NDArray[np.int64]], progress: float) -> torch.Tensor:
    """One step; returns the loss, unread, so that a GPU need not wait for it."""
    model, device = training.model, training.model.device
    for group in (group for one in training.optimizers for group in one.param_groups):
        group["lr"] = group.setdefault("top", group["lr"]) * rate(training.step + 1, progress)
    with torch.autocast(device.type, torch.bfloat16):
        tensors = {name: torch.from_numpy(values).to(device) for name, values in step_batch.items()}
        loss = objective.loss(model, tensors, torch.bfloat16)
    training.step += 1
    training.tokens += int((step_batch["input_ids"] != PAD).sum() + (step_batch["labels"] >= 0).sum())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for one in training.optimizers:
        one.step()
        one.zero_grad()
    return loss.detach()


def probe(training: Training, tokenizer: PreTrainedTokenizerFast, prompts: list[str]) -> tuple[float | None, list[str]]:
    """Share of the names and numbers in greedy summaries of held-out chats that their prompts contain, and the summaries.

    The share is None where there is no such chat, or no name or number in any summary.
    """
    if not prompts:
        return None, []
    training.model.eval()
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, truncation=True, max_length=LONGEST[0]).to(
        training.model.device
    )
    with torch.no_grad():
        written = training.model.generate(**inputs, max_new_tokens=64, no_repeat_ngram_size=8)
    training.model.train()
    texts = tokenizer.batch_decode(written, skip_special_tokens=True)
    found = [
        name in prompt
        for prompt, text in zip(prompts, texts, strict=True)
        for name in re.findall(r"\d[\w:.-]*\w|(?<=[a-z] )[A-Z]\w+", text)
    ]
    return (round(sum(found) / len(found), 3) if found else None), texts


def report(training: Training, tokenizer: PreTrainedTokenizerFast, prompts: list[str], loss: float, out: Path) -> None:
    """Append one line to `log.jsonl`: step, loss, speed, share of this machine's matmul peak, the copy probe and its first samples."""
    copied, texts = probe(training, tokenizer, prompts)
    speed = training.tokens / max(training.seconds, 1e-9)
    work = 6 * sum(one.numel() for name, one in training.model.named_parameters() if "shared" not in name) * speed
    line = {
        "step": training.step, "seconds": round(training.seconds), "tokens": training.tokens, "tokens_per_second": round(speed),
        "share_of_peak": round(work / matmul_peak(training.model.device), 3), "loss": round(loss, 3), "copied": copied, "samples": texts[:4],
    }  # fmt: skip
    with (out / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(line, ensure_ascii=False) + "\n")


def matmul_peak(device: torch.device) -> float:
    """Measured bf16 operations per second of one large product, the limit that training can reach here."""
    side = 8192 if device.type == "cuda" else 2048
    square = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        float((square @ square)[0, 0])  # reading one number waits for the device
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds)


def pretrain(
    data: Path, out: Path, minutes: float, recipe: Recipe, mixture_file: Path = MIXTURE, start: Path | None = None
) -> None:
    """Run or resume the recipe until `minutes` of training are done; `out/model` is a whole model after every save.

    `out/pretrained` is the model before its first task. With `start`, a folder with a model, training begins LATER with it.
    """
    out.mkdir(parents=True, exist_ok=True)
    given = _given(start, out / "tokenizer") if start else None
    tokenizer = prepare(data, out, recipe, mixture_file)
    arrays = OnDemand(out / "arrays")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = given or new_model(recipe, len(tokenizer))
    training = Training(model.to(device).train(), optimizers(model, _gentler(recipe) if start else recipe))
    training.restore(out)
    kept = ChatRows(data, kept=True).chats
    prompts = [TEMPLATES["summarize"].render(chat.dialogue) for chat in kept[:400:25]]
    mean, saved = torch.tensor(math.nan, device=device), time.perf_counter()

    def progress() -> float:
        passed = training.seconds / (minutes * 60)
        return LATER + (1 - LATER) * passed if start else passed

    def drawn(step: int, at: float) -> dict[str, NDArray[np.int64]]:
        return batch(arrays, recipe.tokens, len(tokenizer), recipe.seed, step, at)

    with ThreadPoolExecutor(1) as ahead:  # the next batch is made while this one is learnt
        coming = ahead.submit(drawn, training.step, progress())
        while training.seconds < minutes * 60:
            began, now = time.perf_counter(), progress()
            if not start and now >= PRETRAINING and not (out / "pretrained").exists():
                export(model, out / "tokenizer", out / "pretrained")
            learnt, coming = coming.result(), ahead.submit(drawn, training.step + 1, now)
            loss = learn(training, learnt, now)
            mean = torch.where(mean.isnan(), loss, 0.98 * mean + 0.02 * loss)
            training.seconds += time.perf_counter() - began
            if time.perf_counter() - saved > recipe.save_minutes * 60 or training.seconds >= minutes * 60:
                training.save(out)
                report(training, tokenizer, prompts, float(mean), out)
                saved = time.perf_counter()


def _given(folder: Path, tokenizer: Path) -> T5ForConditionalGeneration:
    """The model in `folder`; its tokenizer is put where the recipe looks for one. Raises Refused."""
    if not (folder / "config.json").is_file() or not (folder / "tokenizer.json").is_file():
        raise Refused(Problem(f"There is no model in {folder}.", "Give a folder with config, weights and tokenizer.", field="from"))  # fmt: skip
    if not tokenizer.exists():
        tokenizer.mkdir()
        for file in folder.glob("tokenizer*.json"):
            shutil.copy(file, tokenizer)
    if (tokenizer / "tokenizer.json").read_bytes() != (folder / "tokenizer.json").read_bytes():
        reason = f"{tokenizer} is not the tokenizer of {folder}: its numbers would mean other words."
        raise Refused(Problem(reason, "Give another --out.", field="from"))
    return T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, local_files_only=True)


def _gentler(recipe: Recipe) -> Recipe:
    """The rates for weights that have come to rest once."""
    return replace(recipe, muon_rate=recipe.muon_rate / 2, adam_rate=recipe.adam_rate / 3)


class OnDemand(dict[str, dict[str, NDArray[Any]]]):
    """Token arrays by group, each read from its file when a batch first asks for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __missing__(self, group: str) -> dict[str, NDArray[Any]]:
        self[group] = load(self.folder / f"{group}.npz")
        return self[group]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with corpus/ and star/")
    parser.add_argument("--out", type=Path, required=True, help="folder for the state and the model")
    parser.add_argument("--minutes", type=float, default=60.0, help="training time in all, over every resumption")
    parser.add_argument("--mixture", type=Path, default=MIXTURE, help="what to teach: a YAML file (docs/flan.md)")
    parser.add_argument(
        "--from", type=Path, dest="start", metavar="FOLDER", help="a model of this recipe to go on from"
    )
    parser.add_argument("--toy", action="store_true", help="a tiny shape that shows the recipe works")
    given = parser.parse_args()
    recipe = TOY if given.toy else ON_GPU if torch.cuda.is_available() else Recipe()
    try:
        pretrain(given.data, given.out, given.minutes, recipe, given.mixture, given.start)
    except Refused as refusal:
        print(*refusal.problems, sep="\n", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
