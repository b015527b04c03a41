"""A checkpoint to take along: it loads elsewhere and answers, says what it is, and holds no chat."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from dialogues.dialogue import Dataset
from evaluation.measure import measure
from prompting.model import Decoding, load
from sharing.parcel import pack
from tuning.plan import propose
from tuning.runs import Run, RunRefused, create


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path, chats: Dataset) -> Run:
    plan = propose(chats, str(tiny_model), "full", "quick", precision="fp32")
    run = create(tmp_path / "runs", plan, chats, "test", "owner")
    shutil.copytree(tiny_model, run.checkpoint_folder(5))
    (run.checkpoint_folder(5) / "trainer_state.json").write_text("{}")
    run.seal(5)
    return run


def test_a_packed_checkpoint_answers_elsewhere_as_here_but_for_the_end_before_a_loop(run: Run, tmp_path: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    with zipfile.ZipFile(pack(run, 5, tmp_path / "parcel.zip")) as parcel:
        assert not {"whole.json", "trainer_state.json", "optimizer.pt"} & set(parcel.namelist())
        parcel.extractall(tmp_path / "there")
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "there", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "there", local_files_only=True)
    said = model.generate(**tokenizer("Customer: My lamp is broken.", return_tensors="pt"))
    ours = load(run.checkpoint_source(5)).summarize(["Customer: My lamp is broken."], Decoding(loop=0))
    assert tokenizer.decode(said[0], skip_special_tokens=True) == ours[0].text


def test_its_card_tells_plan_digest_and_scores_and_no_chat(run: Run, chats: Dataset, tmp_path: Path) -> None:
    unmeasured = zipfile.ZipFile(pack(run, 5, tmp_path / "a.zip")).read("README.md").decode()
    assert (
        "Not measured yet." in unmeasured and chats.digest in unmeasured and run.plan.prompt.pattern[:9] in unmeasured
    )
    for step in (0, 5):
        report = measure(load(run.checkpoint_source(step)), chats, "test", run.plan.prompt, Decoding(8), run.id, step)
        run.save_report(report.to_json())
    card = zipfile.ZipFile(pack(run, 5, tmp_path / "b.zip")).read("README.md").decode()
    assert card.startswith("---\n") and "pipeline_tag: summarization" in card and "| rougeL |" in card
    assert not any(example.dialogue.turns[0].text in card for split in chats.splits.values() for example in split)


def test_only_a_whole_checkpoint_is_packed(run: Run, tmp_path: Path) -> None:
    run.checkpoint_folder(9).mkdir()
    with pytest.raises(RunRefused, match="no checkpoint 9"):
        pack(run, 9, tmp_path / "parcel.zip")
