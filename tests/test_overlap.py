"""BLEU and chrF are sacrebleu's; copying follows the published definition."""

import sacrebleu

from evaluation.overlap import copying, corpus_bleu, lengths, overlap

SUMMARY = "Order 7 came late and the agent sent a refund."
REFERENCES = ["Order 7 was late, so the agent sent a refund.", "A refund was sent for the late order."]


def test_bleu_and_chrf_equal_sacrebleu_with_all_references_at_once() -> None:
    found = overlap(SUMMARY, REFERENCES)
    assert found["bleu"] == sacrebleu.sentence_bleu(SUMMARY, REFERENCES).score
    assert found["chrf"] == sacrebleu.sentence_chrf(SUMMARY, REFERENCES).score
    assert (
        corpus_bleu([SUMMARY], [REFERENCES]) == sacrebleu.corpus_bleu([SUMMARY], [[text] for text in REFERENCES]).score
    )


def test_without_a_reference_overlap_is_unknown_and_the_length_is_not() -> None:
    assert overlap("two words", []) == {"bleu": None, "chrf": None}
    assert lengths("two words", []) == {"length": 2, "length_ratio": None}
    assert corpus_bleu(["two words"], [[]]) is None


def test_corpus_bleu_takes_chats_with_unlike_numbers_of_references() -> None:
    assert corpus_bleu([SUMMARY, SUMMARY], [REFERENCES, REFERENCES[:1]]) is not None


def test_copying_equals_the_hand_worked_example() -> None:
    # fragments "the order is" (3) and "late" (1) of 5 words; pairs new to the chat: (is, very), (very, late)
    found = copying("The order is very late", "Ana: the order is late")
    assert found == {"copied": 80.0, "density": 2.0, "novel": 50.0}


def test_an_empty_summary_copies_an_unknown_share() -> None:
    assert copying("", "Ana: hello") == {"copied": None, "density": None, "novel": None}
