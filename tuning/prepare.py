"""What the recipe trains on, made once: a tokenizer, plain text with spans missing, and cases of the mixture, in tokens on disk.

Several processes share the work; the arrays are the same however many they are.
"""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from dialogues.dialogue import Problem
from tuning.batches import Ragged, corrupt, ragged, store
from tuning.mixture import Mixture, MixtureRefused
from tuning.mixture_file import read_mixture
from tuning.tokenizer import EOS, PAD, SENTINELS, SPECIAL, train_tokenizer

LONGEST = (448, 96)  # tokens of a prompt, of an answer
STRETCH = 900  # characters of a text that span corruption reads at once
STRETCHES = 3  # of one text
SHORTEST = 15  # tokens that a stretch must have to be worth corrupting
WIDEST = 224  # tokens of a stretch that are corrupted
SHARE = 10_000  # cases that a process makes at a time
LEARNED = 200_000  # texts, and cases, that the tokenizer is learnt from


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every number of the recipe. `tokens` is a batch's budget, padding and answers included."""

    vocabulary: int = 8192
    width: int = 320
    layers: int = 5
    decoder_layers: int = 3
    heads: int = 5
    inner: int = 640
    tokens: int = 8192
    muon_rate: float = 0.02
    adam_rate: float = 0.003
    seed: int = 0
    cases: int = 230_000
    save_minutes: float = 4.0


ON_GPU = Recipe(tokens=65_536, cases=850_000)
TOY = Recipe(
    vocabulary=600,
    width=32,
    layers=1,
    decoder_layers=1,
    heads=2,
    inner=64,
    tokens=512,
    cases=600,
    save_minutes=0.02,
)


def prepare(data: Path, out: Path, recipe: Recipe, mixture_file: Path) -> PreTrainedTokenizerFast:
    """Tokenizer and token arrays on disk, made once; whole when `arrays/whole.json` is there. A tokenizer that lies in `out` is kept."""
    if not (out / "arrays" / "whole.json").exists():
        mixture = read_mixture(mixture_file, data, recipe.seed)
        texts = stretches(mixture, recipe.seed)
        if not (out / "tokenizer").exists():
            _tokenizer(mixture, texts, recipe).save_pretrained(out / ".tokenizer.tmp")
            (out / ".tokenizer.tmp").rename(out / "tokenizer")
        (out / "arrays").mkdir(exist_ok=True)
        with _workers(mixture_file, data, recipe.seed, out / "tokenizer") as pool:
            starts = range(0, len(texts), SHARE)
            store(out / "arrays" / "spans.npz", pool.map(_spans, starts, (texts[at : at + SHARE] for at in starts)))
            starts = range(0, recipe.cases, SHARE)
            stops = (min(at + SHARE, recipe.cases) for at in starts)
            store(out / "arrays" / "tasks.npz", pool.map(_tasks, starts, stops))
        (out / "arrays" / "whole.json").write_text(json.dumps(asdict(recipe)))
    return PreTrainedTokenizerFast.from_pretrained(out / "tokenizer")


def stretches(mixture: Mixture, seed: int) -> list[str]:
    """Plain text of everything the trained tasks are about, in pieces, each once, shuffled."""
    pieces = [
        text[start : start + STRETCH]
        for text in dict.fromkeys(mixture.texts())
        for start in range(0, min(len(text), STRETCHES * STRETCH), STRETCH)
    ]
    if not pieces:
        raise MixtureRefused(Problem("The mixture has no text to read.", "Name files that hold rows.", field="file"))
    random.Random(seed).shuffle(pieces)
    return pieces


def _tokenizer(mixture: Mixture, texts: list[str], recipe: Recipe) -> PreTrainedTokenizerFast:
    cases = islice(mixture.stream(), min(recipe.cases, LEARNED))
    read = (f"{text} {case.answer}" for text, case in zip(texts, cases, strict=False))
    return PreTrainedTokenizerFast(
        tokenizer_object=train_tokenizer(read, recipe.vocabulary), pad_token=SPECIAL[PAD], eos_token=SPECIAL[EOS], unk_token=SPECIAL[2],
        extra_special_tokens=list(SENTINELS), model_max_length=512,
    )  # fmt: skip


class _Share:
    """What each process holds."""

    mixture: Mixture
    tokenizer: PreTrainedTokenizerFast
    seed: int


def _workers(mixture_file: Path, data: Path, seed: int, tokenizer: Path) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), _open, (mixture_file, data, seed, tokenizer))


def _open(mixture_file: Path, data: Path, seed: int, tokenizer: Path) -> None:
    _Share.mixture, _Share.seed = read_mixture(mixture_file, data, seed), seed
    _Share.tokenizer = PreTrainedTokenizerFast.from_pretrained(tokenizer)


def _spans(start: int, texts: list[str]) -> Ragged:
    """The texts from number `start` on, each corrupted by draws of its own."""
    sentinels = _Share.tokenizer.convert_tokens_to_ids(list(SENTINELS))
    encoded = _Share.tokenizer(texts, add_special_tokens=False)["input_ids"]
    return ragged(
        [
            corrupt(ids[:WIDEST], sentinels, random.Random(f"{_Share.seed} {start + at}"))
            for at, ids in enumerate(encoded)
            if len(ids) > SHORTEST
        ]
    )


def _tasks(start: int, stop: int) -> Ragged:
    """The cases of the stream from number `start` to `stop`, without those too long for the model."""
    cases = [_Share.mixture.case(number) for number in range(start, stop)]
    prompts = _Share.tokenizer([case.prompt for case in cases])["input_ids"]
    answers = _Share.tokenizer([case.answer for case in cases])["input_ids"]
    longest, widest = LONGEST
    return ragged([pair for pair in zip(prompts, answers, strict=True) if len(pair[0]) <= longest and len(pair[1]) <= widest])  # fmt: skip
