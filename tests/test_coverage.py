"""Coverage tells kept key facts from lost ones, with and without references, and holds on the chats we ship."""

from pathlib import Path
from statistics import mean

import pytest

from dialogues.dialogue import Dialogue, Example, Turn, read_examples
from evaluation.coverage import coverage, facts, kept_of, salient, stored_coverage

CHATS = Path(__file__).resolve().parents[1] / "assets" / "chats" / "test.jsonl"


@pytest.fixture(scope="module")
def chats() -> list[Example]:
    return list(read_examples(CHATS)[::5])


def told(example: Example) -> dict[str, str]:
    return {key: text for key, text in example.facts.items() if key not in ("situation", "result")}


def test_a_lost_amount_is_named_and_a_kept_id_is_not() -> None:
    found = coverage("Order SJ-38894 was late.", ["Order SJ-38894 came late; $5.50 was refunded."])
    assert ("amount", "$5.50") in [(fact.kind, fact.text) for fact in found.missing]
    assert found.by_kind()["id"] == 1.0
    assert found.by_kind()["amount"] == 0.0
    assert found.by_kind()["date"] is None, "no fact of this kind: unknown, not 0"


def test_a_value_is_kept_in_another_spelling() -> None:
    assert kept_of("They paid 5 dollars on 3 March.", facts("$5.00 on March 3")).share == 1.0


def test_without_a_reference_coverage_is_unknown() -> None:
    assert coverage("Anything.", []).share is None


def test_a_summary_keeps_all_of_itself_and_an_empty_one_nothing(chats: list[Example]) -> None:
    for example in chats:
        assert coverage(example.references[0], example.references[:1]).share == 1.0
        assert coverage("", example.references).share == 0.0


def test_people_keep_far_more_of_the_stored_facts_than_a_summary_of_another_chat(chats: list[Example]) -> None:
    own = [stored_coverage(one.references[0], told(one)).share for one in chats]
    foreign = [stored_coverage(chats[at - 1].references[0], told(one)).share for at, one in enumerate(chats)]
    assert mean(own) > 0.4 > 0.2 > mean(foreign)  # type: ignore[type-var]


def test_salience_finds_at_least_85_in_100_of_the_stored_ids_amounts_and_dates(chats: list[Example]) -> None:
    found = []
    for example in chats:
        keys = {(fact.kind, key) for fact in salient(example.dialogue) for key in fact.keys}
        stored = facts(" . ".join(told(example).values()))
        found += [
            any((one.kind, key) in keys for key in one.keys) for one in stored if one.kind in ("id", "amount", "date")
        ]
    assert mean(found) >= 0.85


def test_small_talk_is_not_salient() -> None:
    chat = Dialogue(
        "1", (Turn("A", "Hello there!"), Turn("B", "Good morning."), Turn("A", "My order QX-4471 is late."))
    )
    assert [fact.text for fact in salient(chat)] == ["QX-4471"]
