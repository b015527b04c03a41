"""ROUGE here is rouge_score's ROUGE, digit for digit, whatever the text."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from rouge_score.rouge_scorer import RougeScorer

from evaluation.rouge import ROUGE, ROUGE_SCORES, one_sentence_a_line, rouge
from evaluation.rouge_many import COLUMNS, rouge_many

ROOT = Path(__file__).resolve().parents[1]
AUTHORITY = RougeScorer(list(ROUGE_SCORES), use_stemmer=True)

PAIRS = [
    ("The order arrived late.", "The order arrived late."),
    ("the cat sat", "a dog ran off"),
    ("", "Something was said."),
    ("Something was said.", ""),
    ("", ""),
    ("...!?", "—"),
    ("Refund", "refunds"),
    (
        "Mia's parcel was lost. The agent sent a new one! It should arrive on 3 May.",
        "The agent sent Mia a new parcel. Her parcel was lost.",
    ),
    (
        'He asked e.g. for a refund. "No." (She said so.) It ended… Then he left.',
        "He asked for a refund.\nShe said no.",
    ),
    ("naïve café İstanbul ΟΔΟΣ №5 ½ 주문 환불 😀 order#12-A", "Cafe NAÏVE istanbul 주문이 😀 order 12 a"),
    ("paid paid paid the bill bill", "paid the bill. The bill paid bill. Paid the."),
    ("same words in one line", "line one in words same"),
]


def authority(reference: str, summary: str) -> dict[str, float]:
    scores = AUTHORITY.score(one_sentence_a_line(reference), one_sentence_a_line(summary))
    return {name: 100 * scores[name].fmeasure for name in ROUGE_SCORES}


def chats_words(rng: random.Random, size: int) -> str:
    words = ["order", "orders", "refunded", "refund", "the", "agent", "a", "Running", "late", "7", "$12.50", "was"]
    return "".join(rng.choice(words) + rng.choice([" ", " ", " ", ". ", ".\n", ", "]) for _ in range(size))


@pytest.mark.parametrize(("reference", "summary"), PAIRS)
def test_every_score_equals_rouge_score_to_the_last_digit(reference: str, summary: str) -> None:
    ours = rouge(summary, [reference])
    assert {name: ours[name] for name in ROUGE_SCORES} == authority(reference, summary)


def test_a_thousand_random_many_sentence_texts_equal_rouge_score_to_the_last_digit() -> None:
    rng = random.Random(1)
    for _ in range(1000):
        reference, summary = chats_words(rng, rng.randrange(0, 40)), chats_words(rng, rng.randrange(0, 40))
        ours = rouge(summary, [reference])
        assert {name: ours[name] for name in ROUGE_SCORES} == authority(reference, summary), (reference, summary)


def test_texts_longer_than_a_machine_word_equal_rouge_score() -> None:
    rng = random.Random(2)
    reference, summary = chats_words(rng, 300), chats_words(rng, 200)
    ours = rouge(summary, [reference])
    assert {name: ours[name] for name in ROUGE_SCORES} == authority(reference, summary)


def test_thousands_at_once_equal_one_by_one_whatever_their_length_and_number_of_references() -> None:
    rng = random.Random(3)
    summaries, references = [summary for _, summary in PAIRS], [[reference] for reference, _ in PAIRS]
    summaries += [chats_words(rng, rng.randrange(0, 40 if at % 10 else 120)) for at in range(2000)]
    references += [[chats_words(rng, rng.randrange(0, 40)) for _ in range(rng.randrange(0, 4))] for _ in range(2000)]
    table = rouge_many([*summaries, "a\0b. C"], [*references, ["a b. \0C", "a\1B"]])
    assert table.shape == (len(summaries) + 1, len(COLUMNS))
    assert dict(zip(COLUMNS, table[-1].tolist(), strict=True)) == rouge("a\0b. C", ["a b. \0C", "a\1B"])
    for row, summary, given in zip(table.tolist(), summaries, references, strict=False):
        known = {name: None if math.isnan(value) else value for name, value in zip(COLUMNS, row, strict=True)}
        assert known == pytest.approx(rouge(summary, given), abs=1e-12), (summary, given)


def test_nothing_at_once_gives_nothing_and_unlike_lengths_are_an_error() -> None:
    assert rouge_many([], []).shape == (0, len(COLUMNS))
    with pytest.raises(ValueError, match="argument 2"):
        rouge_many(["a"], [])


def test_pieces_of_any_size_give_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    summaries, references = [summary for _, summary in PAIRS], [[reference, "a b c"] for reference, _ in PAIRS]
    whole = rouge_many(summaries, references)
    monkeypatch.setattr("evaluation.rouge_many.CHUNK", 3)
    assert (rouge_many(summaries, references) == whole).all()


def test_of_several_references_the_best_counts_for_each_score_apart_and_the_mean_is_kept() -> None:
    references = ["The order was late and was refunded.", "Refunded, late order", ""]
    summary = "A late order was refunded."
    ours = rouge(summary, references)
    best = AUTHORITY.score_multi([one_sentence_a_line(text) for text in references], one_sentence_a_line(summary))
    each = [authority(reference, summary) for reference in references]
    for name in ROUGE_SCORES:
        assert ours[name] == 100 * best[name].fmeasure
        assert ours[f"{name}_mean"] == pytest.approx(sum(scores[name] for scores in each) / 3, abs=1e-12)


def test_an_empty_summary_scores_zero_and_no_reference_is_unknown() -> None:
    assert set(rouge("", ["A refund was made."]).values()) == {0.0}
    assert set(rouge("A refund was made.", []).values()) == {None}


def test_sentences_are_cut_by_the_stated_rule() -> None:
    assert (
        one_sentence_a_line('She paid. "Done!" It works… 5 left? yes') == 'She paid.\n"Done!"\nIt works…\n5 left? yes'
    )
    assert one_sentence_a_line("a phone, e.g. this one, cost $3.50 today") == "a phone, e.g. this one, cost $3.50 today"
    assert one_sentence_a_line("First line\nsecond line") == "First line\nsecond line"


def test_the_version_string_names_the_installed_authority() -> None:
    assert ROUGE.startswith(f"rouge_score-{version('rouge_score')}+stemmer")


SLOW_TORCH = "import time; time.sleep(4); Tensor = type('Tensor', (), {})"
HALF_WAY = """
import sys, threading, time
sys.path.insert(0, sys.argv[1])
thread = threading.Thread(target=__import__, args=("torch",))
thread.start()
while "torch" not in sys.modules:
    time.sleep(0.01)
from evaluation.rouge import rouge
print(rouge("The orders came.", ["The order came."])["rouge1"])
"""


def test_a_text_can_be_scored_while_another_thread_is_half_way_through_importing_torch(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(SLOW_TORCH)
    command = [sys.executable, "-c", HALF_WAY, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "100.0", done.stderr
