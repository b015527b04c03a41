"""Personal data that a publisher can rely on being replaced, and what is left alone."""

from dataclasses import replace

import pytest

from dialogues.dialogue import Turn
from evaluation.report import ExampleResult, Verdict
from sharing.scrub import Scrubber, personal, scrubbed
from sharing.snapshot import LinkRefused, Snapshots, prepare


def kinds(text):
    return [(text[one.start : one.end], one.kind) for one in personal(text)]


@pytest.mark.parametrize(
    ("text", "found", "kind"),
    [
        ("Write to ann.lee+shop@mail.example.co.uk.", "ann.lee+shop@mail.example.co.uk", "email"),
        ("나는 kim@example.kr 입니다", "kim@example.kr", "email"),
        ("Call +1 (212) 555-0123 now", "+1 (212) 555-0123", "phone number"),
        ("my number is 020 7946 0958", "020 7946 0958", "phone number"),
        ("415-555-2671 after six", "415-555-2671", "phone number"),
        ("전화 010-1234-5678", "010-1234-5678", "phone number"),
        ("card 4111 1111 1111 1111 ok", "4111 1111 1111 1111", "card number"),
        ("5500-0000-0000-0004", "5500-0000-0000-0004", "card number"),
        ("IBAN GB82 WEST 1234 5698 7654 32.", "GB82 WEST 1234 5698 7654 32", "IBAN"),
        ("from 192.168.10.7 today", "192.168.10.7", "IP address"),
        ("from 2001:db8::1 today", "2001:db8::1", "IP address"),
    ],
)
def test_what_names_or_reaches_a_person_is_found_whole(text, found, kind):
    assert kinds(text) == [(found, kind)]


@pytest.mark.parametrize(
    "text",
    [
        "Order A1037 for $25.50 on 2026-11-25 at 10:30.",
        "Tracking 1Z999AA10123456784, order #100200300.",
        "Version 1.2.3, flight BA 2490, 4111 1111 1111 1112.",
        "@support please, 50% off, it is 12:30:45",
        "",
    ],
)
def test_orders_amounts_dates_and_times_are_left_alone(text):
    assert personal(text) == []


def test_the_same_thing_keeps_the_same_placeholder_wherever_it_stands():
    scrub = Scrubber()
    assert scrub.text("a@b.example and c@d.example") == "[email 1] and [email 2]"
    assert scrub.text("A@B.example, (415) 555-2671") == "[email 1], [phone number 1]"
    assert scrub.text("415.555.2671") == "[phone number 1]"
    assert [(one.placeholder, one.text, one.count) for one in scrub.found] == [
        ("[email 1]", "a@b.example", 2),
        ("[email 2]", "c@d.example", 1),
        ("[phone number 1]", "(415) 555-2671", 2),
    ]


def test_marks_stay_on_their_words_when_the_words_before_them_change():
    text = "Ann (ann@b.example) paid $25 and called 415-555-2671."
    words = ("Ann", "ann@b.example", "$25", "555-2671", "2671")
    verdicts = tuple(
        Verdict(text.index(word), text.index(word) + len(word), "word", "absent", 0.0, None, f"No {word}.")
        for word in words
    )
    clean = Scrubber().summary(ExampleResult("x", text, {}, verdicts))
    assert clean.summary == "Ann ([email 1]) paid $25 and called [phone number 1]."
    marked = [clean.summary[one.start : one.end] for one in clean.verdicts]
    assert marked == ["Ann", "[email 1]", "$25", "[phone number 1]"]
    assert clean.verdicts[1].reason == "No [email 1]."


def with_mail(comparison):
    row = comparison.rows[0]
    turns = (Turn("ann@b.example", "I am ann@b.example."), *row.turns[1:])
    named = replace(row, turns=turns, topic="ann@b.example", references=("Mail ann@b.example.",))
    return replace(comparison, title="For ann@b.example", rows=(named, *comparison.rows[1:]))


def test_nothing_published_holds_what_was_replaced_and_the_page_counts_it(tmp_path, comparison):
    shop = Snapshots(tmp_path)
    for reveal, places in (("numbers", 1), ("summaries", 3), ("chats", 5)):
        snapshot_id = shop.publish(with_mail(comparison), reveal, "ann")
        assert "ann@b.example" not in (tmp_path / f"{snapshot_id}.json").read_text()
        assert shop.open(snapshot_id).replaced == {"email": places}


def test_the_preview_is_exactly_what_is_published(tmp_path, comparison):
    shop = Snapshots(tmp_path)
    for reveal in ("numbers", "summaries", "chats"):
        assert prepare(with_mail(comparison), reveal)[0] == shop.fetch(
            shop.publish(with_mail(comparison), reveal, "ann")
        )


def test_a_comparison_without_personal_data_is_published_as_it_is(comparison):
    assert scrubbed(comparison) == (comparison, ())


@pytest.mark.parametrize(("reveal", "days"), [("everything", 30), ("numbers", 0), ("numbers", -1), ("numbers", 10**6)])
def test_a_choice_that_does_not_exist_is_refused_in_words(tmp_path, comparison, reveal, days):
    with pytest.raises(LinkRefused, match="Choose"):
        Snapshots(tmp_path).publish(comparison, reveal, "ann", days)
