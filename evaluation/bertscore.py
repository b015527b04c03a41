"""BERTScore by its own library, for whoever has an encoder: how near the words of a summary come to those of a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dialogues.dialogue import Problem
from evaluation.judges import JudgeRefused
from prompting.source import FAMILY, ModelRefused, config, find

LONGEST = 512  # tokens: what the encoders that people use were trained to read


class BertScore:
    """F1 × 100 of the best reference, without idf weights and without rescaling. Raises JudgeRefused.

    `source` is an encoder's folder or hub id; the layer is the one that the library's authors chose for that name, else the last.
    """

    def __init__(self, source: str) -> None:
        try:
            import bert_score
        except ImportError as error:
            remedy = "Install it: pip install -c constraints.txt -r requirements-bertscore.txt"
            raise JudgeRefused(Problem("bert_score is not installed.", remedy, field="bertscore")) from error
        remedy = "Name an encoder such as FacebookAI/roberta-large, as safetensors, in a folder or under a hub name that can be reached."
        try:
            found = find(source, family=None)
        except ModelRefused as refusal:
            raise JudgeRefused(
                *(replace(one, remedy=remedy, field="bertscore") for one in refusal.problems)
            ) from refusal
        if found.adapter:
            raise JudgeRefused(Problem(f"{source} is an adapter.", remedy, field="bertscore"))
        about = config(found.folder)
        _refuse_misread(str(found.folder), about)
        named = bert_score.utils.model2layers.get(source) or bert_score.utils.model2layers.get(Path(source).name)
        layers = named or about.get("num_hidden_layers") or about.get("num_layers")
        try:
            self._scorer: Any = bert_score.BERTScorer(model_type=str(found.folder), num_layers=layers)
        except Exception as error:  # the library raises anything for an encoder that it does not know
            reason = f"{source} could not be read ({type(error).__name__}: {str(error)[:200]})."
            raise JudgeRefused(Problem(reason, remedy, field="bertscore")) from error
        self._words: Any = self._scorer._tokenizer
        self._words.model_max_length = min(LONGEST, self._words.model_max_length)
        self.signature = f"bertscore-{version('bert_score')}@{found.digest}/L{layers}"

    def scores(self, summaries: Sequence[str], references: Sequence[Sequence[str]]) -> list[float | None]:
        """One a summary, at most 100; None without a word or a reference, or where a text is longer than the encoder reads."""
        known = [at for at, text in enumerate(summaries) if self._whole(text) and self._all_whole(references[at])]
        found = dict.fromkeys(range(len(summaries)), None) | dict(
            zip(known, self._f1(known, summaries, references), strict=True)
        )
        return list(found.values())

    def _f1(self, known: Sequence[int], summaries: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
        if not known:
            return []
        _, _, f1 = self._scorer.score([summaries[at] for at in known], [list(references[at]) for at in known])
        return [100 * float(one) for one in f1]

    def _all_whole(self, texts: Sequence[str]) -> bool:
        return bool(texts) and all(map(self._whole, texts))

    def _whole(self, text: str) -> bool:
        """The library would cut the rest off without a word, and cannot score a text without one."""
        return (
            bool(text.strip()) and len(self._words(text, truncation=False)["input_ids"]) <= self._words.model_max_length
        )


def _refuse_misread(folder: str, about: dict[str, Any]) -> None:
    """The library takes whatever lies at a path with "t5" in it for a T5, and fills what it misses with random numbers."""
    if "t5" in folder and about.get("model_type") not in FAMILY:
        raise JudgeRefused(
            Problem(f"bert_score would read {folder} as a T5.", "Move it to another path.", field="bertscore")
        )
