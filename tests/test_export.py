"""A checkpoint for others: the folder loads and answers, the hub gets it with its card, CTranslate2 answers alike."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dialogues.dialogue import Dataset
from prompting.model import Decoding, load
from sharing.export import SERVED, export, for_ctranslate2, main, push
from tuning.plan import propose
from tuning.runs import Run, RunRefused, create

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "Customer: My lamp is broken.\nAgent: I am sorry."


def make_run(root: Path, base: Path, chats: Dataset, method: str = "full") -> Run:
    return create(root, propose(chats, str(base), method, "quick", precision="fp32"), chats, "test", "owner")


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path, chats: Dataset) -> Run:
    run = make_run(tmp_path / "runs", tiny_model, chats)
    shutil.copytree(tiny_model, run.checkpoint_folder(5))
    run.seal(5)
    return run


@pytest.fixture
def adapter_run(tmp_path: Path, tiny_model: Path, chats: Dataset) -> Run:
    """A LoRA whose matrices say something."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSeq2SeqLM

    run = make_run(tmp_path / "runs", tiny_model, chats, "lora")
    torch.manual_seed(0)
    model = get_peft_model(
        AutoModelForSeq2SeqLM.from_pretrained(tiny_model),
        LoraConfig(task_type="SEQ_2_SEQ_LM", r=4, target_modules=["q", "v", "wo"], init_lora_weights=False),
    )
    model.save_pretrained(run.checkpoint_folder(5))
    run.seal(5)
    return run


def said(name: str | Path) -> str:
    return load(str(name)).summarize([PROMPT], Decoding(20))[0].text


def test_an_adapter_is_exported_small_or_merged_and_answers_the_same(adapter_run: Run, tmp_path: Path) -> None:
    here = said(adapter_run.checkpoint_source(5))
    assert here != said(adapter_run.plan.base_model)
    small = export(adapter_run, 5, tmp_path / "small")
    merged = export(adapter_run, 5, tmp_path / "merged", merge=True)
    assert not list(small.glob("model*")) and list(small.glob("adapter_model*"))
    assert list(merged.glob("model*.safetensors")) and not list(merged.glob("adapter*"))
    assert said(small) == here and said(merged) == here
    assert "library_name: peft" in (small / "README.md").read_text()
    card = (merged / "README.md").read_text()
    assert "library_name: transformers" in card and "merged into" in card


def test_an_export_holds_no_chat_and_nothing_that_only_training_needs(run: Run, chats: Dataset, tmp_path: Path) -> None:
    assert main([str(run.folder), "5", "--to", str(tmp_path / "there")]) == 0
    names = {path.name for path in (tmp_path / "there").iterdir()}
    assert {"README.md", "model.safetensors", "tokenizer.json", "config.json"} <= names and "whole.json" not in names
    text = (tmp_path / "there" / "README.md").read_text()
    assert chats.digest in text
    assert not any(example.dialogue.turns[0].text in text for split in chats.splits.values() for example in split)


def test_what_cannot_be_exported_is_refused_in_a_sentence(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    for words, reason in (
        ([str(run.folder), "5", "--to", str(tmp_path / "full")], "not empty"),
        ([str(run.folder), "7", "--to", str(tmp_path / "new")], "no checkpoint 7"),
        ([str(tmp_path), "5", "--to", str(tmp_path / "new")], "is no run"),
    ):
        assert main(words) == 1 and reason in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


class Hub(BaseHTTPRequestHandler):
    """The three calls of the hub's API that an upload of small files makes."""

    heard: list[tuple[str, Any, str]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        values = [json.loads(line) for line in body.splitlines()]
        self.heard.append((self.path, values, self.headers["Authorization"]))
        if self.path == "/api/validate-yaml":
            answer: Any = {"errors": [], "warnings": []}
        elif "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in values[0]["files"]
            ]
            answer = {"files": files}
        elif "/commit/" in self.path:
            answer = {
                "commitUrl": f"http://{self.headers['Host']}/team/support/commit/{'1' * 40}",
                "commitOid": "1" * 40,
                "success": True,
            }
        else:
            answer = {"url": f"http://{self.headers['Host']}/team/support"}
        self._say(answer)

    def do_GET(self) -> None:
        self._say({"id": "team/support", "sha": "0" * 40})

    def _say(self, answer: Any) -> None:
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def hub() -> Iterator[tuple[str, list[Any]]]:
    Hub.heard = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", Hub.heard
        server.shutdown()


def test_a_push_makes_a_private_repository_and_uploads_model_and_card(
    run: Run, tmp_path: Path, hub: tuple[str, list[Any]], chats: Dataset
) -> None:
    address, heard = hub
    here = {
        **os.environ,
        "HF_ENDPOINT": address,
        "HF_TOKEN": "hf_test",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path),
    }
    words = [sys.executable, "-m", "sharing.export", str(run.folder), "5", "--to", str(tmp_path / "there")]
    done = subprocess.run(
        [*words, "--push", "team/support"], cwd=ROOT, env=here, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert {token for _, _, token in heard} == {"Bearer hf_test"}
    made = next(values[0] for path, values, _ in heard if path == "/api/repos/create")
    assert made["name"] == "support" and made["organization"] == "team"
    assert made.get("private") is True or made.get("visibility") == "private"
    commit = next(values for path, values, _ in heard if path.startswith("/api/models/team/support/commit/main"))
    files = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in commit if line["key"] == "file"
    }
    assert files["model.safetensors"] == (run.checkpoint_folder(5) / "model.safetensors").read_bytes()
    assert chats.digest in files["README.md"].decode()


def test_without_a_token_nothing_is_pushed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(RunRefused, match="HF_TOKEN"):
        push(export(run, 5, tmp_path / "there"), "team/support")


@pytest.mark.parametrize("which", ["tiny, untied as FLAN-T5", "bundled, tied"])
def test_ctranslate2_answers_word_for_word_what_the_model_answers(
    which: str, run: Run, adapter_run: Run, tmp_path: Path, chats: Dataset
) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2", reason="CTranslate2 is an extra: pip install ctranslate2")
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    if which.startswith("bundled"):
        folder = tmp_path / "bundled"
        shutil.copytree(ROOT / "assets" / "base-model", folder)
    else:
        folder = export(adapter_run, 5, tmp_path / "merged", merge=True)
    engine = ctranslate2.Translator(str(for_ctranslate2(folder)), compute_type="float32")
    assert (folder / SERVED / "model.bin").is_file()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    for example in chats.splits["test"][:3]:
        ids = tokenizer(run.plan.prompt.render(example.dialogue), truncation=True, max_length=512).input_ids
        theirs = engine.translate_batch(
            [tokenizer.convert_ids_to_tokens(ids)], beam_size=1, max_decoding_length=30, max_input_length=0
        )[0].hypotheses[0]
        ours = model.generate(
            torch.tensor([ids]), max_new_tokens=30, do_sample=False, num_beams=1, no_repeat_ngram_size=0
        )
        told = tokenizer.convert_tokens_to_ids(theirs)
        assert told == [number for number in ours[0, 1:].tolist() if number != tokenizer.eos_token_id]
        assert len(told) >= 1
