"""What can be relied on when chats are set aside for testing."""

import pytest

from dialogues.dialogue import Dataset, Dialogue, Example, Turn
from dialogues.profile import profile
from dialogues.split import SplitRefused, split_examples


def chat(number, split=""):
    turns = (Turn("Customer", f"My order {number} is late."), Turn("Agent", "It ships today."))
    return split, Example(Dialogue(str(number), turns), (f"Order {number} is late.",))


def ids(dataset, split):
    return [example.dialogue.id for example in dataset.splits[split]]


def test_the_same_chats_are_set_aside_every_time_and_in_any_order():
    chats = [chat(number) for number in range(100)]
    first, _ = split_examples("x", chats)
    again, _ = split_examples("x", chats[::-1])
    assert set(ids(first, "test")) == set(ids(again, "test"))
    assert [len(first.splits[split]) for split in ("train", "validation", "test")] == [78, 7, 15]


def test_a_split_that_the_file_names_is_kept():
    chats = (
        [chat(n, "train") for n in range(40)]
        + [chat(n, "dev") for n in range(40, 50)]
        + [chat(n, "test") for n in range(50, 60)]
    )
    dataset, _ = split_examples("x", chats)
    assert ids(dataset, "test") == [str(n) for n in range(50, 60)]
    assert ids(dataset, "validation") == [str(n) for n in range(40, 50)]


def test_validation_alone_is_what_people_mean_to_be_measured_on():
    dataset, _ = split_examples("x", [chat(n, "train") for n in range(40)] + [chat(n, "valid") for n in range(40, 50)])
    assert ids(dataset, "test") == [str(n) for n in range(40, 50)]


def test_a_test_chat_never_stays_in_training_and_it_is_said():
    dataset, left_out = split_examples("x", [chat(n) for n in range(40)], [chat(n)[1] for n in range(5)])
    assert len(dataset.splits["test"]) == 5
    assert not set(ids(dataset, "test")) & set(ids(dataset, "train") + ids(dataset, "validation"))
    assert "5 training chats" in left_out[0].reason


def test_duplicates_fall_into_one_split():
    dataset, _ = split_examples("x", [chat(n % 30) for n in range(90)])
    assert profile(dataset).leaked == 0
    assert profile(dataset).duplicates == 60


def test_too_few_chats_are_refused_with_the_number_needed():
    with pytest.raises(SplitRefused, match="at least 20"):
        split_examples("x", [chat(n) for n in range(3)])


def test_a_dataset_comes_back_from_disk_with_the_same_digest(tmp_path):
    dataset, _ = split_examples("Spring chats", [chat(n) for n in range(30)])
    dataset.save(tmp_path / "set")
    loaded = Dataset.load(tmp_path / "set")
    assert loaded == dataset and loaded.digest == dataset.digest
    other, _ = split_examples("Spring chats", [chat(n) for n in range(31)])
    assert other.digest != dataset.digest
