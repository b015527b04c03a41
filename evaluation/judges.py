"""Pretrained checkers behind the seam of support.py, for whoever has their weights: MiniCheck, HHEM, any NLI classifier.

    open_judge("minicheck:/models/minicheck").support([summary], [dialogue])

The chat is cut into windows of whole turns that overlap by half; what counts for a sentence is the window that bears it
out best (as in SummaC-ZS), and for a summary the product over its sentences, as in support.py.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from dialogues.dialogue import Dialogue, Problem, Refused
from evaluation.polarity import read
from evaluation.support import Judge
from prompting.model import open_tokenizer, open_weights
from prompting.source import FAMILY, ModelRefused, config, find, weights

BATCH = 16
SPARE = 8  # tokens: pieces that stand together may take a few more than they do alone
FOUNDATION = "google/flan-t5-base"  # what HHEM's head stands on
HHEM = (
    "<pad> Determine if the hypothesis is true given the premise?\n\nPremise: ",
    "\n\nHypothesis: ",
)  # as it was trained


class JudgeRefused(Refused):
    """The checker cannot be had, or the model is none."""


def open_judge(asked: str) -> Judge:
    """`KIND:SOURCE` of JUDGES: a folder or a hub id, safetensors only, on the GPU where there is one. Raises JudgeRefused."""
    kind, _, source = asked.partition(":")
    if kind not in JUDGES or not source:
        remedy = f"Write KIND:SOURCE, where KIND is {' or '.join(JUDGES)} and SOURCE a folder or a hub name."
        raise JudgeRefused(Problem(f"{asked!r} names no checker.", remedy, field="judge"))
    try:
        return JUDGES[kind](source)
    except ModelRefused as refusal:
        remedy = f"Name {JUDGES[kind].wanted}, as safetensors, in a folder or under a hub name that can be reached."
        raise JudgeRefused(*(replace(one, remedy=remedy, field="judge") for one in refusal.problems)) from refusal


def open_judges(asked: Sequence[str]) -> list[Judge]:
    """All of them, or JudgeRefused with what is wrong with each."""
    judges, problems = list[Judge](), list[Problem]()
    for one in asked:
        try:
            judges.append(open_judge(one))
        except JudgeRefused as refusal:
            problems += refusal.problems
    if problems:
        raise JudgeRefused(*problems)
    return judges


class Pretrained:
    """A Judge over a model that tells how likely one text bears out one sentence."""

    kind: ClassVar[str]
    wanted: ClassVar[str]
    family: ClassVar[Sequence[str] | None] = None
    window = 512  # tokens of chat and sentence together

    def __init__(self, source: str) -> None:
        import torch

        self.source = find(source, family=self.family)
        if self.source.adapter:
            raise _refusal(f"{source} is an adapter.")
        self.tokenizer = open_tokenizer(self._words())
        if self.tokenizer.pad_token is None:
            raise _refusal(f"{source} cannot read texts side by side: it has no mark for padding.")
        try:
            self.model = self._open().float().to("cuda" if torch.cuda.is_available() else "cpu").eval()
        except Refused:
            raise
        except Exception as error:  # weights that do not fit their config raise anything
            raise _refusal(f"{source} could not be read ({type(error).__name__}: {str(error)[:200]}).") from error

    @property
    def signature(self) -> str:
        """Such as "minicheck-1@0f3a5c…": the way of asking, and the digest of the weights."""
        return f"{self.kind}-1@{self.source.digest}"

    def support(self, summaries: Sequence[str], dialogues: Sequence[Dialogue]) -> list[float | None]:
        """See Judge. None also where one sentence alone fills half the window."""
        claims = [[self._plain(text[one.start : one.end].strip()) for one in read(text)] for text in summaries]
        places, asked = list[tuple[int, int]](), list[Any]()
        for at, dialogue in enumerate(dialogues):
            pieces = self._pieces(dialogue)
            for place, claim in enumerate(claims[at]):
                windows = [self._encode(window, claim) for window in self._windows(pieces, claim)]
                places += [(at, place)] * len(windows)
                asked += windows
        chances = defaultdict[tuple[int, int], list[float]](list)
        for where, chance in zip(places, self._chances(asked), strict=True):
            chances[where].append(chance)
        return [_whole([chances[at, place] for place in range(len(said))]) for at, said in enumerate(claims)]

    def _words(self) -> Path:
        return self.source.folder

    def _open(self) -> Any:
        raise NotImplementedError

    def _encode(self, premise: str, claim: str) -> Mapping[str, Any]:
        raise NotImplementedError

    def _answer(self, inputs: Any) -> Any:
        """The chance of each row, in [0, 1]."""
        raise NotImplementedError

    def _windows(self, pieces: Sequence[tuple[str, int]], claim: str) -> Iterator[str]:
        room = self.window - len(self._encode("", claim)["input_ids"]) - SPARE
        if room >= self.window // 2:
            for window in spans([size for _, size in pieces], room):
                yield "\n".join(pieces[at][0] for at in window)

    def _pieces(self, dialogue: Dialogue) -> list[tuple[str, int]]:
        """The turns with their tokens; one that is longer than half a window is cut between words."""
        waiting = [self._plain(line) for line in dialogue.text.split("\n")][::-1] if dialogue.turns else []
        pieces = list[tuple[str, int]]()
        while waiting:
            line = waiting.pop()
            size = len(self.tokenizer(f"{line}\n", add_special_tokens=False)["input_ids"])
            if size <= self.window // 2:
                pieces.append((line, size))
            else:
                middle = line.rfind(" ", 1, len(line) // 2 + 1)
                middle = middle if middle > 0 else len(line) // 2
                waiting += [line[middle:].lstrip(" "), line[:middle]]
        return pieces

    def _plain(self, text: str) -> str:
        """What somebody wrote cannot pass for the model's own marks."""
        for mark in self.tokenizer.all_special_tokens:
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
        return text

    def _chances(self, asked: Sequence[Any]) -> list[float]:
        import torch

        order = sorted(range(len(asked)), key=lambda at: -len(asked[at]["input_ids"]))
        found = dict[int, float]()
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            inputs = self.tokenizer.pad([asked[at] for at in batch], return_tensors="pt").to(self.model.device)
            with torch.inference_mode():
                found.update(zip(batch, self._answer(inputs).tolist(), strict=True))
        return [found[at] for at in range(len(asked))]


class MiniCheck(Pretrained):
    """MiniCheck-Flan-T5: the chance of "1" against "0" as the first token of its answer."""

    kind, wanted, family = "minicheck", "a T5 such as MiniCheck-Flan-T5-Large", FAMILY
    window = 768  # about the 500 words after which its authors cut

    def _open(self) -> Any:
        import torch

        self.labels = [self.tokenizer(text, add_special_tokens=False)["input_ids"][0] for text in ("0", "1")]
        if len(set(self.labels)) < 2:
            raise _refusal(f"{self.source.name} cannot answer 0 or 1 with its first token.")
        return open_weights(self.source, torch.float32)

    def _encode(self, premise: str, claim: str) -> Mapping[str, Any]:
        encoded: Mapping[str, Any] = self.tokenizer(f"predict: {premise}{self.tokenizer.eos_token}{claim}")
        return encoded

    def _answer(self, inputs: Any) -> Any:
        ids = inputs["input_ids"]
        start = ids.new_full((len(ids), 1), self.model.config.decoder_start_token_id or 0)
        output = self.model(input_ids=ids, attention_mask=inputs["attention_mask"], decoder_input_ids=start)
        return output.logits[:, 0, self.labels].softmax(-1)[:, 1]


class Entails(Pretrained):
    """Any sequence classifier for natural language inference: the chance of its entailment label."""

    kind, wanted = "nli", "a sequence classifier with an entailment label, such as FacebookAI/roberta-large-mnli"

    def _open(self) -> Any:
        from transformers import AutoModelForSequenceClassification

        model, told = AutoModelForSequenceClassification.from_pretrained(
            self.source.folder,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        names = model.config.id2label
        labels = [at for at, name in names.items() if str(name).casefold().startswith("entail")]
        if len(labels) != 1 or told["missing_keys"]:
            lacks = (
                "no trained head" if told["missing_keys"] else f"no entailment among its labels {list(names.values())}"
            )
            raise _refusal(f"{self.source.name} has {lacks}.")
        self.label = labels[0]
        limits = (self.tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", self.window))
        self.window = min(self.window, *limits)
        return model

    def _encode(self, premise: str, claim: str) -> Mapping[str, Any]:
        encoded: Mapping[str, Any] = self.tokenizer(premise, claim)
        return encoded

    def _answer(self, inputs: Any) -> Any:
        return self.model(**inputs).logits.softmax(-1)[:, self.label]


class Hhem(Pretrained):
    """HHEM-2.1-open: a token classifier's word on the first token of a FLAN-T5's encoder. Its own code is not run."""

    kind, wanted = "hhem", f"HHEM-2.1-open, with {FOUNDATION} at hand too"

    def _words(self) -> Path:
        return find(str(config(self.source.folder).get("foundation", FOUNDATION))).folder

    def _open(self) -> Any:
        from safetensors.torch import load_file
        from transformers import AutoConfig, T5ForTokenClassification

        shape = AutoConfig.from_pretrained(self._words(), local_files_only=True, num_labels=2)
        model = T5ForTokenClassification(shape)
        stored = {name: value for file in weights(self.source.folder) for name, value in load_file(file).items()}
        state = {name.removeprefix("t5."): value for name, value in stored.items()}
        state["transformer.encoder.embed_tokens.weight"] = state["transformer.shared.weight"]  # stored once
        model.load_state_dict(state)
        return model

    def _encode(self, premise: str, claim: str) -> Mapping[str, Any]:
        encoded: Mapping[str, Any] = self.tokenizer(f"{HHEM[0]}{premise}{HHEM[1]}{claim}")
        return encoded

    def _answer(self, inputs: Any) -> Any:
        return self.model(**inputs).logits[:, 0].softmax(-1)[:, 1]


JUDGES: Mapping[str, type[Pretrained]] = {one.kind: one for one in (MiniCheck, Entails, Hhem)}


def spans(sizes: Sequence[int], room: int) -> Iterator[range]:
    """Runs of items whose sizes add up to at most `room`, each from the middle of the last one; together they hold all items."""
    start = end = 0
    while end < len(sizes):
        end = start + 1
        while end < len(sizes) and sum(sizes[start : end + 1]) <= room:
            end += 1
        yield range(start, end)
        start = max(start + 1, (start + end) // 2)


def _whole(sentences: Sequence[Sequence[float]]) -> float | None:
    """All sentences must hold; None where there is none, or one that could not be judged."""
    known = [max(chances, default=math.nan) if all(map(math.isfinite, chances)) else math.nan for chances in sentences]
    return math.prod(known) if known and all(map(math.isfinite, known)) else None


def _refusal(reason: str) -> ModelRefused:
    return ModelRefused(Problem(reason, ""))
