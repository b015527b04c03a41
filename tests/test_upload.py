"""What a person who uploads a file can rely on."""

import json
import time

import pytest

from dialogues.dialogue import Turn
from dialogues.upload import MAX_ROWS, UploadRefused, read_upload

CHAT = "Customer: My lamp is broken.\\nAgent: We send a new one."


def write(tmp_path, name, content):
    path = tmp_path / "upload.bin"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path, name


def read(tmp_path, name, content, **columns):
    return read_upload(*write(tmp_path, name, content), columns)


def refusal(tmp_path, name, content):
    with pytest.raises(UploadRefused) as refused:
        read(tmp_path, name, content)
    return refused.value.problems


def line(dialogue="Customer: Hi\nAgent: Hello", summary="A greeting.", **more):
    return json.dumps({"dialogue": dialogue, "summary": summary, **more})


def test_a_csv_with_bom_blank_and_upper_case_headers_is_read(tmp_path):
    reading = read(tmp_path, "march.csv", '\ufeff Dialogue ,SUMMARY\n"Ann: Hi\nBob: Hello",They greet.\n')
    ((_, example),) = reading.examples
    assert example.dialogue.turns == (Turn("Ann", "Hi"), Turn("Bob", "Hello"))
    assert example.references == ("They greet.",)
    assert example.dialogue.id == "march-2"
    assert not reading.problems


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_of_a_table_is_found(tmp_path, separator):
    text = f'dialogue{separator}summary\n"A: Hi\nB: Ho"{separator}"They, well; greet."\n'
    assert read(tmp_path, "x.csv", text).examples[0][1].references == ("They, well; greet.",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_common_encodings_are_read_without_being_asked_for(tmp_path, encoding):
    rows = "".join(
        '"Customer: Où est mon café à la crème?\nAgent: Il arrive déjà, désolé.","Un café tardif."\n' for _ in range(9)
    )
    reading = read(tmp_path, "x.csv", ("dialogue,summary\n" + rows).encode(encoding))
    assert reading.examples[0][1].dialogue.turns[0].text == "Où est mon café à la crème?"


def test_every_way_of_writing_turns_gives_the_same_turns(tmp_path):
    expected = (Turn("Customer", "Hi there"), Turn("Agent", "Hello"))
    ways = [
        "Customer: Hi there\nAgent: Hello",
        "Customer: Hi there <BR> Agent: Hello <br/>",
        ["Customer: Hi there", "Agent: Hello"],
        [{"role": "user", "content": "Hi there"}, {"role": "assistant", "content": "Hello"}],
        [{"speaker": "Customer", "text": "Hi  there"}, {"speaker": "Agent", "text": "Hello"}],
        json.dumps([{"from": "human", "value": "Hi there"}, {"from": "gpt", "value": "Hello"}]),
    ]
    reading = read(tmp_path, "x.jsonl", "\n".join(line(way) for way in ways))
    assert [example.dialogue.turns for _, example in reading.examples] == [expected] * len(ways)


def test_an_unsigned_chat_is_not_given_speakers_that_nobody_named(tmp_path):
    reading = read(tmp_path, "x.jsonl", line("where is it? <BR> at 10:30: on its way <BR> see https://example.com"))
    assert {turn.speaker for turn in reading.examples[0][1].dialogue.turns} == {"Message"}


def test_a_line_without_a_name_goes_on_with_the_turn_before(tmp_path):
    reading = read(tmp_path, "x.jsonl", line("#Person1#: One\nand more\n#Person2#: Two"))
    assert reading.examples[0][1].dialogue.turns == (Turn("#Person1#", "One and more"), Turn("#Person2#", "Two"))


def test_several_summaries_of_a_chat_are_all_kept(tmp_path):
    rows = [line(summary=["One.", "Two."]), line(summary='["One.", "Two."]')]
    reading = read(tmp_path, "x.jsonl", "\n".join(rows))
    assert [example.references for _, example in reading.examples] == [("One.", "Two.")] * 2
    numbered = read(tmp_path, "y.jsonl", json.dumps({"dialogue": "A: a\nB: b", "summary1": "One.", "summary2": "Two."}))
    assert numbered.examples[0][1].references == ("One.", "Two.")


def test_columns_can_be_chosen_by_hand(tmp_path):
    text = 'wrap-up,log\nThey greet.,"A: Hi\nB: Hello"\n'
    reading = read(tmp_path, "x.csv", text, dialogue="Log", summary="Wrap-Up")
    assert reading.columns == {"dialogue": "log", "summary": "wrap-up"}


def test_every_bad_row_is_named_with_row_column_reason_and_remedy_and_the_good_ones_are_kept(tmp_path):
    text = "\n".join(
        [line(), "{broken", "[1]", line(dialogue=""), line(summary=" "), line(dialogue="Only: one"), line()]
    )
    reading = read(tmp_path, "x.jsonl", text)
    assert len(reading.examples) == 2 and reading.rows == 5
    assert [problem.row for problem in reading.problems] == [2, 3, 4, 5, 6]
    assert all(problem.reason and problem.remedy for problem in reading.problems)
    assert [problem.field for problem in reading.problems][2:] == ["dialogue", "summary", "dialogue"]


def test_a_broken_csv_row_does_not_swallow_the_rows_behind_it(tmp_path):
    text = 'dialogue,summary\n"A: Hi\nB: Ho",ok\n"x"y,bad\n"A: Hi\nB: Ho",ok,too many\n"A: Hi\nB: Ho",ok\n'
    reading = read(tmp_path, "x.csv", text)
    assert len(reading.examples) == 2
    assert [problem.row for problem in reading.problems] == [3, 4]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("chats.docx", "x", "not a type"),
        ("empty.csv", "", "is empty"),
        ("blank.jsonl", " \n\n", "is empty"),
        ("head.csv", "dialogue,summary\n", "no row"),
        ("cols.csv", "a,,c\n1,2,3\n", "columns are: a, column 2, c"),
        ("rows.jsonl", line(summary=""), "None of the 1 rows"),
        ("list.json", "[{", "JSON list cannot be read"),
        ("image.csv", bytes(range(256)) * 20, "not text|No column|None of"),
        ("nul.jsonl", line("A: Hi\0\nB: Ho"), "None of"),
        ("deep.json", "[" * 100_000, "too deep"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_why_and_what_to_do(tmp_path, name, content, says):
    problems = refusal(tmp_path, name, content)
    assert any(part in problems[0].reason for part in says.split("|")), problems
    assert all(problem.remedy for problem in problems)


def test_both_missing_columns_are_named_at_once(tmp_path):
    assert {problem.field for problem in refusal(tmp_path, "x.csv", "a,b\n1,2\n")} == {"dialogue", "summary"}


def test_a_cell_of_one_megabyte_is_refused_and_the_rest_is_read(tmp_path):
    reading = read(tmp_path, "x.jsonl", line("A: " + "long " * 200_000 + "\nB: Ho") + "\n" + line())
    assert len(reading.examples) == 1
    assert "characters long" in reading.problems[0].reason


def test_a_hundred_thousand_rows_are_refused_in_seconds_with_the_number_that_is_read(tmp_path):
    started = time.monotonic()
    problems = refusal(tmp_path, "x.csv", "dialogue,summary\n" + '"A: Hi\nB: Ho",ok\n' * 100_000)
    assert f"{MAX_ROWS:,}" in problems[0].reason and "100,000 rows" in problems[0].reason
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("head.csv", "dialogue,summary\n", "There is no row in head.csv"),
        ("broken.jsonl", "{broken\n{broken\n", "There is no row in broken.jsonl"),
        ("pretty.json", json.dumps({"data": [{"dialogue": "A: a\nB: b"}]}, indent=1), "There is no row in pretty.json"),
    ],
)
def test_a_file_without_one_readable_row_says_so_before_it_speaks_of_columns(tmp_path, name, content, says):
    problems = refusal(tmp_path, name, content)
    assert says in problems[0].reason
    assert all(problem.row for problem in problems[1:])


def test_a_line_break_that_only_unicode_knows_does_not_end_a_json_line(tmp_path):
    chat = "A: One\u2028two\x85three\nB: Ho"
    text = json.dumps({"dialogue": chat, "summary": "s"}, ensure_ascii=False)
    reading = read(tmp_path, "x.jsonl", text + "\r\n" + line())
    assert len(reading.examples) == 2 and not reading.problems
    assert reading.examples[0][1].dialogue.turns[0] == Turn("A", "One two three")


def test_an_emoji_that_an_export_cut_in_two_does_not_stop_the_file_from_being_kept(tmp_path):
    half = "\ud83d"
    turns = [{"speaker": f"Ann{half}", "text": f"Hi {half}"}, {"speaker": "Bob", "text": "Ho"}]
    text = json.dumps({"dialogue": turns, "summary": f"s {half}", "id": half, "topic": half, half: 1})
    reading = read(tmp_path, "x.jsonl", text)
    ((_, example),) = reading.examples
    json.dumps(example.to_json(), ensure_ascii=False).encode()
    assert example.dialogue.turns[0] == Turn("Ann\ufffd", "Hi \ufffd")


@pytest.mark.parametrize("cell", ["[" * 100_000, "[" + "9" * 5_000 + "]"])
def test_a_cell_that_no_program_can_unpack_is_refused_or_kept_as_text_and_the_rest_is_read(tmp_path, cell):
    row = '{"dialogue": "A: a\\nB: b", "summary": "x", "n": ' + "9" * 5_000 + "}"
    reading = read(tmp_path, "x.jsonl", "\n".join([line(summary=cell), row, line()]))
    assert reading.examples[-1][1].references == ("A greeting.",)
    assert 2 in [problem.row for problem in reading.problems]


def test_a_nul_byte_is_refused_wherever_in_the_row_it_stands(tmp_path):
    turns = [{"speaker": "A\0", "text": "Hi"}, {"speaker": "B", "text": "Ho"}]
    reading = read(tmp_path, "x.jsonl", "\n".join([line(turns), line(id="a\0"), line(topic="\0b"), line()]))
    assert [problem.row for problem in reading.problems] == [1, 2, 3]


def test_a_megabyte_of_blanks_in_a_cell_is_read_at_once(tmp_path):
    started = time.monotonic()
    read(tmp_path, "x.jsonl", line("A: Hi" + " " * 1_000_000 + "there\nB: Ho"))
    assert time.monotonic() - started < 2
