"""Porter's stem of a word as rouge_score has it, remembered: the one door to nltk."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import import_module
from typing import Any


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The stem of a word in small letters, whatever its length."""
    return str(porter().stem(word))


@cache
def porter() -> Any:
    """nltk's stemmer; the first call imports nltk, which takes two seconds because it reads scipy."""
    try:
        from nltk.stem.porter import PorterStemmer
    except AttributeError:  # scipy looks into torch, which another thread is half way through importing
        import_module("torch")  # waits for that thread
        from nltk.stem.porter import PorterStemmer

    return PorterStemmer()
