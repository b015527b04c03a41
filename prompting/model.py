"""Load a model, answer a batch of prompts or stream one: the only door to torch and transformers for generation."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from dialogues.dialogue import Problem
from prompting.decoding import Decoding, Looped, Margins, Stopped, Streamer, loop_start
from prompting.source import BASE_MODELS, BUNDLED, HUB_MODELS, ModelRefused, Say, Source, check_base, find

__all__ = ["BUNDLED", "HUB_MODELS", "Decoding", "ModelRefused", "Summarizer", "Summary", "count_tokens", "load"]

WINDOW = 512  # tokens: what T5 was trained to read
BATCH = 16  # prompts decoded side by side
KEPT = 2  # models in memory
# Two best tokens closer than this may swap places when other prompts share the batch, because sums round differently.
NEAR_TIE = {"torch.float32": 1e-3, "torch.bfloat16": 0.25}

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """One answer. `tokens_in` counts the whole prompt, also where `input_truncated` says that its end was cut off.

    `tokens_out` leaves the end mark out; `output_truncated` means that the model was stopped before it had ended.
    """

    text: str
    tokens_in: int
    tokens_out: int
    input_truncated: bool
    output_truncated: bool


class Summarizer(Protocol):
    """The seam: prompts in, summaries out. Fake it here in a test, never inside."""

    @property
    def name(self) -> str:
        """Such as "bundled", "google/flan-t5-small" or "checkpoint 200"."""

    @property
    def digest(self) -> str:
        """Twelve hex digits that name exactly these weights."""

    def summarize(self, prompts: Sequence[str], decoding: Decoding, progress: Progress | None = None) -> list[Summary]:
        """As many summaries as prompts, in their order; none depends on the others. `progress(done, total)`."""

    def stream(self, prompt: str, decoding: Decoding) -> Iterator[str]:
        """The growing text; its last value equals `summarize([prompt], decoding)[0].text`."""


def load(source: str, base_models: Path = BASE_MODELS, progress: Say | None = None) -> Summarizer:
    """`load("bundled").summarize(["Summarize: …"], Decoding())[0].text`.

    `source` is "bundled", a folder (a full model or a LoRA adapter, which is merged into its base) or a hub id.
    The last two models stay in memory. `progress` is told in words what takes time. Raises ModelRefused.
    """
    found = find(source, base_models, progress)
    key = (found, found.digest)
    with _lock:
        if key not in _loaded:
            if progress:
                progress(f"Loading {found.name}…")
            _loaded[key] = _open(found)
        _loaded.move_to_end(key)
        while len(_loaded) > KEPT:
            _loaded.popitem(last=False)
        return _loaded[key]


def count_tokens(source: str, texts: Sequence[str], base_models: Path = BASE_MODELS) -> list[int]:
    """How many tokens each text takes in the model's window, the end mark included; no weights are loaded."""
    tokenizer = open_tokenizer(find(source, base_models).folder)
    return [len(ids) for ids in tokenizer(list(texts)).input_ids] if texts else []


def encode(tokenizer: Any, text: str, window: int) -> tuple[list[int], int]:
    """The token ids that a model reads, at most `window`, and how many there were before the cut.

    Prompting and tuning both come here, so that they cut alike: the end goes, the end mark stays.
    """
    ids: list[int] = tokenizer(text).input_ids
    return (ids if len(ids) <= window else [*ids[: window - 1], tokenizer.eos_token_id]), len(ids)


@lru_cache(maxsize=8)
def open_tokenizer(folder: Path) -> Any:
    """The folder's own tokenizer. Raises ModelRefused."""
    with _importing:
        from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a tokenizer fails in as many ways as it has files
        raise _unreadable(folder, error) from error


def open_weights(source: Source, dtype: Any, quantized: Any = None) -> Any:
    """The full model in torch's `dtype`, any adapter merged into it, on the CPU. Raises ModelRefused.

    With transformers' settings in `quantized` it lies so where that can be computed, a GPU where there is one.
    """
    check_base(source)
    with _importing:
        from transformers import AutoModelForSeq2SeqLM, GenerationConfig

    try:
        model = AutoModelForSeq2SeqLM.from_pretrained(
            source.folder, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False,
            quantization_config=quantized,
        )  # fmt: skip
        if source.adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, source.adapter, local_files_only=True).merge_and_unload()
    except Exception as error:  # weights that do not fit their config raise anything
        raise _unreadable(source.top, error) from error
    model.generation_config = GenerationConfig()  # only what Decoding's signature says may shape the text
    return model


_loaded: OrderedDict[tuple[Source, str], LocalSummarizer] = OrderedDict()
_lock = threading.Lock()
_importing = threading.Lock()  # transformers is made lazily: a second thread would see it half made


def _open(source: Source) -> LocalSummarizer:
    import torch

    cuda = torch.cuda.is_available()
    model = open_weights(source, torch.bfloat16 if cuda else torch.float32)
    return LocalSummarizer(source, model.to("cuda" if cuda else "cpu").eval(), open_tokenizer(source.folder))


def _unreadable(folder: Path, error: Exception) -> ModelRefused:
    reason = f"The model in {folder.name} could not be read ({type(error).__name__}: {str(error)[:200]})."
    return ModelRefused(Problem(reason, "Fetch or save its files again.", field="model"))


class LocalSummarizer:
    """A Summarizer over a model in this process; safe to use from several threads."""

    def __init__(self, source: Source, model: Any, tokenizer: Any) -> None:
        self.name, self.digest = source.name, source.digest
        self.window: int = getattr(model.config, "n_positions", None) or WINDOW
        self._model, self._tokenizer = model, tokenizer

    def summarize(self, prompts: Sequence[str], decoding: Decoding, progress: Progress | None = None) -> list[Summary]:
        """See Summarizer. Prompts of like length are decoded side by side, the longest first."""
        encoded = [encode(self._tokenizer, prompt, self.window) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda index: len(encoded[index][0]), reverse=True)
        outputs: dict[int, list[int]] = {}
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            outputs.update(zip(batch, self._answer([encoded[index][0] for index in batch], decoding), strict=True))
            if progress:
                progress(len(outputs), len(prompts))
        return [self._summary(outputs[index], tokens_in) for index, (_, tokens_in) in enumerate(encoded)]

    def stream(self, prompt: str, decoding: Decoding) -> Iterator[str]:
        """See Summarizer. Beam search has no growing text: it yields once. Closing the iterator stops the model."""
        ids, _ = encode(self._tokenizer, prompt, self.window)
        if decoding.beams > 1:
            yield self._text(self._answer([ids], decoding)[0])
            return
        queue: SimpleQueue[int | Exception | None] = SimpleQueue()
        stop = threading.Event()
        threading.Thread(target=self._feed, args=(ids, decoding, queue, stop), daemon=True).start()
        written: list[int] = []
        try:
            while (token := queue.get()) is not None:
                if isinstance(token, Exception):
                    raise token
                written.append(token)
                yield self._text(written).rstrip("\ufffd")  # half a character, until its other bytes come
        finally:
            stop.set()
        yield self._text(self._ended(written, decoding))

    def _feed(
        self, ids: list[int], decoding: Decoding, queue: SimpleQueue[int | Exception | None], stop: threading.Event
    ) -> None:
        try:
            self._generate([ids], decoding, streamer=Streamer(queue), stop=[Stopped(stop)])
        except Exception as error:  # handed to the reader's thread, which raises it
            queue.put(error)
        queue.put(None)

    def _answer(self, batch: list[list[int]], decoding: Decoding) -> list[list[int]]:
        """The new ids of each row. A row that came near a tie is decoded again alone: it alone sets the result."""
        if decoding.beams > 1 or len(batch) == 1:
            return [self._ended(self._generate([ids], decoding)[0], decoding) for ids in batch]
        margins = Margins()
        rows = self._generate(batch, decoding, logits_processor=[margins])
        limit = NEAR_TIE[str(self._model.dtype)]
        return [
            self._ended(self._generate([ids], decoding)[0] if gap < limit else row, decoding)
            for ids, row, gap in zip(batch, rows, margins.closest(rows, self._tokenizer.pad_token_id), strict=True)
        ]

    def _generate(
        self, batch: list[list[int]], decoding: Decoding, stop: Sequence[Any] = (), **hooks: Any
    ) -> list[list[int]]:
        """Each row's new ids as the model wrote them, padded where others wrote more."""
        import torch

        longest = max(map(len, batch))
        pad = self._tokenizer.pad_token_id
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in batch], device=self._model.device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in batch], device=ids.device)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=self._settings(decoding),
                stopping_criteria=[*stop, Looped(decoding)],
                **hooks,
            )
        rows: list[list[int]] = output[:, 1:].tolist()
        return rows

    def _ended(self, row: list[int], decoding: Decoding) -> list[int]:
        """The ids up to and with the end mark; before a run of tokens comes again it stands after the last whole sentence."""
        end = self._tokenizer.eos_token_id
        whole = row[: row.index(end) + 1] if end in row else row
        again = loop_start(whole, decoding.loop)
        return whole if again is None else [*whole[: self._last_sentence(whole, again)], end]

    def _last_sentence(self, row: list[int], before: int) -> int:
        """Where the last whole sentence of `row` ends, at `before` or earlier; `before` itself where none is whole."""
        for end in range(before, 0, -1):
            text, further = self._text(row[:end]), self._text(row[: end + 1])
            if text.endswith((".", "!", "?")) and further[len(text) :][:1] in ("", " ", "\n"):  # else in a number
                return end
        return before

    def _settings(self, decoding: Decoding) -> Any:
        from transformers import GenerationConfig

        config, pad = self._model.config, self._tokenizer.pad_token_id
        start = getattr(config, "decoder_start_token_id", None)
        return GenerationConfig(
            max_new_tokens=decoding.max_new_tokens,
            num_beams=decoding.beams,
            do_sample=False,
            decoder_start_token_id=pad if start is None else start,
            eos_token_id=self._tokenizer.eos_token_id,
            pad_token_id=pad,
        )

    def _text(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _summary(self, ids: list[int], tokens_in: int) -> Summary:
        ended = bool(ids) and ids[-1] == self._tokenizer.eos_token_id
        return Summary(self._text(ids), tokens_in, len(ids) - ended, tokens_in > self.window, not ended)
