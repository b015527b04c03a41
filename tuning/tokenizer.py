"""The base model's tokenizer: unigram pieces with byte fallback, so that nothing is unknown; every digit stands alone."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PAD, EOS, UNK = 0, 1, 2
SPECIAL = ("<pad>", "</s>", "<unk>")
SENTINELS = tuple(f"<extra_id_{number}>" for number in range(32))
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
LONGEST_PIECE = 16  # characters


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A tokenizer of at most `vocabulary` pieces, sentinels left out of the count of what `texts` teach.

    A line break is one piece. Decoding gives the text back but for runs of blanks and NFKC forms.
    """
    learner = _shaped(models.Unigram())
    trainer = trainers.UnigramTrainer(
        vocab_size=vocabulary - len(BYTES) - len(SENTINELS), special_tokens=list(SPECIAL), unk_token=SPECIAL[UNK],
        max_piece_length=LONGEST_PIECE, show_progress=False,
    )  # fmt: skip
    learner.train_from_iterator(texts, trainer)
    pieces = [(piece, score) for piece, score in json.loads(learner.to_str())["model"]["vocab"]]
    rare = min(score for _, score in pieces) - 10  # bytes are the last resort
    tokenizer = _shaped(models.Unigram([*pieces, *((byte, rare) for byte in BYTES)], UNK, byte_fallback=True))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A $B </s>", special_tokens=[("</s>", EOS)]
    )
    return tokenizer


def _shaped(model: models.Unigram) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Replace(Regex(r"\s*\n\s*"), " ↵ "),
            normalizers.Replace(Regex(r"[^\S\n]+"), " "),
            normalizers.Strip(),
        ]
    )
    alone = pre_tokenizers.Split(Regex(r"▁?\d|▁?[^\w\s▁']"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), alone])
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Replace("▁", " "),
            decoders.Replace(" ↵ ", "\n"),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer
