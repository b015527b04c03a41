"""Pretrained checkers: asked as they were published, over windows that hold every turn, and refused in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dialogues.dialogue import Dialogue, Turn
from evaluation.__main__ import main
from evaluation.bertscore import BertScore
from evaluation.judges import HHEM, JudgeRefused, open_judge, spans
from evaluation.predictions import read_predictions
from evaluation.report import Report
from evaluation.support import Judge
from prompting.source import NotFetched, find

LABELS = {0: "contradiction", 1: "neutral", 2: "ENTAILMENT"}
SHORT = Dialogue("short", (Turn("Ann", "My lamp came late."), Turn("Bob", "I refunded $5.50.")))
LONG = Dialogue("long", tuple(Turn("Ann", f"Lamp number {at} came late and I want my money back.") for at in range(40)))
SAID = ("Ann's lamp came late. Bob refunded $5.50.", "Bob wants a lamp.", "", "Ann wants her money back!")
CHATS = (SHORT, LONG, SHORT, LONG)


@pytest.fixture(scope="module")
def checkers(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, str]:
    """Models of each checker's own shape with random weights, the same every time."""
    folder = tmp_path_factory.mktemp("checkers")
    make_nli(folder / "nli", tiny_model)
    make_hhem(folder / "hhem", tiny_model)
    make_minicheck(folder / "minicheck", tiny_model)
    return {kind: f"{kind}:{folder / kind}" for kind in ("nli", "hhem", "minicheck")}


def make_nli(folder: Path, words: Path, labels: dict[int, str] = LABELS, positions: int = 128) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=1024, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=positions, id2label=labels, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    pair_tokenizer(words).save_pretrained(folder)


def pair_tokenizer(words: Path) -> Any:
    """The tiny model's pieces, with an end mark between two texts too."""
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(words)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A </s>", pair="$A </s> $B:1 </s>:1", special_tokens=[("</s>", 1)]
    )
    return tokenizer


def make_hhem(folder: Path, foundation: Path) -> None:
    """As published: names begin with "t5.", the embedding is stored once, and the config names the foundation."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, T5ForTokenClassification

    torch.manual_seed(2)
    model = T5ForTokenClassification(AutoConfig.from_pretrained(foundation))
    model.classifier.weight.data.normal_(std=0.1)
    folder.mkdir()
    state = {f"t5.{name}": value for name, value in model.state_dict().items() if "embed_tokens" not in name}
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "HHEMv2", "foundation": str(foundation)}))


def make_minicheck(folder: Path, tiny: Path) -> None:
    """The tiny T5, with pieces for "0" and "1" that stand for a whole answer, as T5's own tokenizer has for "1"."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    record = json.loads(tokenizer.backend_tokenizer.to_str())
    record["model"]["vocab"] += [["▁1", -1.0]]
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    words = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(record)), pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    words.save_pretrained(folder)
    model = AutoModelForSeq2SeqLM.from_pretrained(tiny)
    model.resize_token_embeddings(len(words))
    model.lm_head.weight.data.normal_()
    model.save_pretrained(folder)


def by_hand(kind: str, judge: Any, premise: str, claim: str) -> float:
    """The published score of one pair, on its own and without padding."""
    import torch

    with torch.inference_mode():
        if kind == "nli":
            logits = judge.model(**judge.tokenizer(premise, claim, return_tensors="pt")).logits[0]
            return float(logits.softmax(-1)[2])
        if kind == "hhem":
            text = f"{HHEM[0]}{premise}{HHEM[1]}{claim}"
            return float(judge.model(**judge.tokenizer(text, return_tensors="pt")).logits[0, 0].softmax(-1)[1])
        inputs = judge.tokenizer(f"predict: {premise}</s>{claim}", return_tensors="pt")
        no, yes = (judge.tokenizer(text).input_ids[0] for text in "01")
        logits = judge.model(
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            decoder_input_ids=torch.zeros((1, 1)).long(),
        ).logits[0, 0]
        return float(logits[[no, yes]].softmax(-1)[1])


@pytest.mark.parametrize("kind", ["minicheck", "nli", "hhem"])
def test_a_short_chat_scores_what_the_published_way_gives_sentence_by_sentence(
    kind: str, checkers: dict[str, str]
) -> None:
    judge = open_judge(checkers[kind])
    (score,) = judge.support([SAID[0]], [SHORT])
    parts = [by_hand(kind, judge, SHORT.text, claim) for claim in ("Ann's lamp came late.", "Bob refunded $5.50.")]
    assert score == pytest.approx(parts[0] * parts[1], abs=1e-5)
    assert min(parts) > 0 and max(parts) < 1 and abs(parts[0] - parts[1]) > 1e-4  # the random model tells them apart


@pytest.mark.parametrize("kind", ["minicheck", "nli", "hhem"])
def test_many_pairs_score_in_order_what_each_scores_alone(kind: str, checkers: dict[str, str]) -> None:
    judge: Judge = open_judge(checkers[kind])
    together = judge.support(SAID * 3, CHATS * 3)
    alone = [judge.support([text], [chat])[0] for text, chat in zip(SAID, CHATS, strict=True)]
    assert together == [pytest.approx(one, abs=1e-5) if one is not None else None for one in alone * 3]
    assert judge.support([], []) == []


@pytest.mark.parametrize("kind", ["minicheck", "nli", "hhem"])
def test_of_a_long_chat_every_turn_is_read_and_the_best_window_counts(kind: str, checkers: dict[str, str]) -> None:
    judge: Any = open_judge(checkers[kind])
    claim = "Ann wants a lamp."
    windows = list(judge._windows(judge._pieces(LONG), claim))
    assert len(windows) > 1
    assert set("\n".join(windows).split("\n")) == set(LONG.text.split("\n"))
    assert all(len(judge._encode(window, claim)["input_ids"]) <= judge.window for window in windows)
    assert judge.support([claim], [LONG])[0] == pytest.approx(
        max(by_hand(kind, judge, window, claim) for window in windows), abs=1e-5
    )


def test_a_turn_longer_than_a_window_is_read_to_its_end(checkers: dict[str, str]) -> None:
    judge: Any = open_judge(checkers["nli"])
    words = [f"word{at}" for at in range(300)]
    told = "\n".join(judge._windows(judge._pieces(Dialogue("x", (Turn("Ann", " ".join(words)),))), "Ann talks."))
    assert set(words) <= set(told.split())
    (endless,) = judge.support(["Ann talks."], [Dialogue("x", (Turn("Ann", "x" * 3000),))])
    assert endless is not None


def test_nothing_to_judge_and_a_sentence_too_long_to_be_judged_are_unknown(checkers: dict[str, str]) -> None:
    judge = open_judge(checkers["nli"])
    assert judge.support(["", "...", "A lamp. " + "lamp " * 200], [SHORT] * 3) == [None] * 3
    assert judge.support(["A lamp."], [Dialogue("none", ())]) == [None]


@pytest.mark.parametrize("kind", ["minicheck", "nli", "hhem"])
def test_what_people_wrote_cannot_pass_for_the_models_own_marks(kind: str, checkers: dict[str, str]) -> None:
    judge: Any = open_judge(checkers[kind])
    end = judge.tokenizer.eos_token_id
    hostile = Dialogue("x", (Turn("Ann", "My lamp</s>is late.<pad>"),))
    (window,) = judge._windows(judge._pieces(hostile), "A lamp.")
    plain = list(judge._encode("Ann: My lamp is late.", "A lamp.")["input_ids"])
    assert list(judge._encode(window, "A lamp.")["input_ids"]).count(end) == plain.count(end)
    assert judge.support(["A lamp.</s>"], [SHORT])[0] is not None


@pytest.mark.parametrize(
    ("sizes", "room"), [([3, 3, 3, 3, 3], 7), ([1] * 50, 10), ([5], 5), ([5, 1, 5, 1], 6), ([], 4)]
)
def test_windows_hold_all_items_in_order_and_never_more_than_fits(sizes: list[int], room: int) -> None:
    windows = list(spans(sizes, room))
    assert {at for window in windows for at in window} == set(range(len(sizes)))
    assert all(sum(sizes[at] for at in window) <= room for window in windows)
    assert all(later.start <= earlier.stop for earlier, later in pairwise(windows))


def test_a_signature_names_the_checker_and_its_weights(checkers: dict[str, str]) -> None:
    signatures = [open_judge(asked).signature for asked in checkers.values()]
    digests = [find(asked.partition(":")[2], family=None).digest for asked in checkers.values()]
    assert signatures == [f"{kind}-1@{digest}" for kind, digest in zip(checkers, digests, strict=True)]
    assert len(set(digests)) == 3


def refused(asked: str) -> str:
    with pytest.raises(JudgeRefused) as refusal:
        open_judge(asked)
    return str(refusal.value)


@pytest.mark.parametrize("asked", ["", "nli", "nli:", "oracle:folder", "minicheck/folder"])
def test_a_checker_named_by_mistake_is_refused_with_the_names_there_are(asked: str) -> None:
    assert "minicheck or nli or hhem" in refused(asked)


def test_a_classifier_without_a_label_for_entailment_is_refused_with_its_labels(
    tmp_path: Path, tiny_model: Path
) -> None:
    make_nli(tmp_path / "sentiment", tiny_model, {0: "NEGATIVE", 1: "POSITIVE"})
    assert "no entailment among its labels ['NEGATIVE', 'POSITIVE']" in refused(f"nli:{tmp_path / 'sentiment'}")


@pytest.mark.parametrize("names", [("not_entailment", "entailment"), ("entailment", "non-entailment")])
def test_a_classifier_of_two_labels_is_asked_for_its_entailment(
    tmp_path: Path, tiny_model: Path, names: Sequence[str]
) -> None:
    make_nli(tmp_path / "two", tiny_model, dict(enumerate(names)))
    judge: Any = open_judge(f"nli:{tmp_path / 'two'}")
    assert names[judge.label] == "entailment"


def test_a_model_that_never_learnt_to_classify_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    make_nli(tmp_path / "bare", tiny_model)
    file = tmp_path / "bare" / "model.safetensors"
    state: dict[str, torch.Tensor] = load_file(file)
    save_file({name: value for name, value in state.items() if "classifier" not in name}, file, {"format": "pt"})
    assert "no trained head" in refused(f"nli:{tmp_path / 'bare'}")


def test_a_model_that_cannot_read_texts_side_by_side_is_refused(tmp_path: Path, checkers: dict[str, str]) -> None:
    shutil.copytree(checkers["nli"].partition(":")[2], tmp_path / "padless")
    file = tmp_path / "padless" / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "pad_token": None}))
    assert "no mark for padding" in refused(f"nli:{tmp_path / 'padless'}")


def test_a_model_of_another_kind_or_without_safetensors_is_refused(
    tmp_path: Path, tiny_model: Path, checkers: dict[str, str]
) -> None:
    nli = checkers["nli"].partition(":")[2]
    assert "bert model" in refused(f"minicheck:{nli}")
    shutil.copytree(checkers["hhem"].partition(":")[2], tmp_path / "mixed")
    shutil.copy(tiny_model / "model.safetensors", tmp_path / "mixed")
    assert "could not be read" in refused(f"hhem:{tmp_path / 'mixed'}")
    assert "first token" in refused(f"minicheck:{tiny_model}")
    shutil.copytree(nli, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    assert "no .safetensors weights" in refused(f"nli:{tmp_path / 'pickled'}")


def test_without_a_hub_a_name_that_is_not_here_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    said = refused("minicheck:nobody/has-this-checker")
    assert "nobody/has-this-checker is not on this machine and could not be fetched" in said
    assert "as safetensors, in a folder or under a hub name that can be reached" in said


ROWS = [
    {"dialogue": SHORT.text, "prediction": SAID[0], "summary": ["A late lamp.", "Bob refunded $5.50."]},
    {"dialogue": LONG.text, "prediction": "", "summary": "Forty late lamps."},
]


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "made.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


def test_the_command_line_adds_a_column_for_each_checker_to_table_and_report(
    predictions: Path, checkers: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = predictions.with_name("report.json")
    asked = [part for one in ("nli", "minicheck") for part in ("--judge", checkers[one])]
    assert main([str(predictions), "--out", str(out), *asked]) == 0
    report, said = Report.from_json(json.loads(out.read_text())), capsys.readouterr().out
    (first, _), _ = read_predictions(predictions)
    for kind in ("nli", "minicheck"):
        judge = open_judge(checkers[kind])
        score, unknown = report.values(judge.signature)
        assert score == pytest.approx(100 * (judge.support([SAID[0]], [first.dialogue])[0] or 0), abs=1e-3)
        assert unknown is None and 0 <= score <= 100  # an empty summary says nothing to judge
        assert f"|{judge.signature}" in report.signature.metrics
        assert any(line.startswith(f"{judge.signature} ") and "n = 1, unknown 1" in line for line in said.splitlines())
    assert report.values("support") != report.values(judge.signature)


def test_every_checker_that_cannot_be_had_is_named_before_the_work(
    predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--judge", f"nli:{tmp_path / 'gone'}", "--judge", "oracle:x"]
    assert main([str(predictions), *asked]) == 1
    said = capsys.readouterr()
    assert not said.out and "There is no model at" in said.err and "'oracle:x' names no checker" in said.err


def test_a_runs_folder_with_a_checker_is_refused_with_the_way_to_do_it(
    tmp_path: Path, checkers: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--judge", checkers["nli"]]) == 1
    assert "FILE --model CHECKPOINT --judge" in capsys.readouterr().err


def greedy(encoder: Any, words: Any, text: str, reference: str) -> float:
    """BERTScore's F1 by its definition: each word meets the nearest of the other side; end marks do not count."""
    import torch

    with torch.inference_mode():
        sides = [encoder(**words(side, return_tensors="pt")).last_hidden_state[0] for side in (text, reference)]
    own, other = (torch.nn.functional.normalize(side, dim=-1) for side in sides)
    near = own @ other.T
    precision, recall = near.max(1).values[1:-1].mean(), near.max(0).values[1:-1].mean()
    return float(2 * precision * recall / (precision + recall))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights over single characters."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoders") / "bert"
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces = [*marks, *map(chr, range(33, 127))]
    tokenizer = Tokenizer(models.WordLevel({piece: at for at, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("", "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names).save_pretrained(folder)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


def test_bertscore_is_that_of_the_best_reference_by_its_definition(encoder: Path, predictions: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    out = predictions.with_name("report.json")
    assert main([str(predictions), "--out", str(out), "--bertscore", str(encoder)]) == 0
    report = Report.from_json(json.loads(out.read_text()))
    (name,) = [name for name in report.results[0].scores if name.startswith("bertscore-")]
    model, words = AutoModel.from_pretrained(encoder), AutoTokenizer.from_pretrained(encoder)
    best = max(greedy(model.eval(), words, SAID[0], reference) for reference in ROWS[0]["summary"])
    assert report.values(name) == [pytest.approx(100 * best, abs=1e-2), None]
    assert name.endswith(f"@{find(str(encoder), family=None).digest}/L2")


def test_bertscore_of_a_text_that_the_encoder_cannot_read_whole_is_unknown(encoder: Path) -> None:
    scorer = BertScore(str(encoder))
    assert scorer.scores(["a" * 200, "a", "a", " "], [["a"], ["a" * 200], [], ["a"]]) == [None] * 4
    assert scorer.scores(["b", "a" * 200, "a"], [["b"], ["a"], ["a", "b"]]) == [
        pytest.approx(100, abs=1e-3), None, pytest.approx(100, abs=1e-3)
    ]  # fmt: skip


def test_an_encoder_that_the_library_would_misread_or_that_is_not_there_is_refused(
    tmp_path: Path, encoder: Path
) -> None:
    shutil.copytree(encoder, tmp_path / "not-a-t5")
    with pytest.raises(JudgeRefused, match="as a T5"):
        BertScore(str(tmp_path / "not-a-t5"))
    with pytest.raises(JudgeRefused, match="There is no model at"):
        BertScore(str(tmp_path / "gone"))


def test_what_the_library_cannot_read_is_refused_in_words(tmp_path: Path, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "unknown")
    with pytest.raises(JudgeRefused, match="could not be read"):
        BertScore(str(tmp_path / "unknown"))


def test_hhem_gives_the_scores_on_its_card() -> None:
    name = "vectara/hallucination_evaluation_model"
    try:
        find(name, fetch=False, family=None)
        judge: Any = open_judge(f"hhem:{name}")
    except (NotFetched, JudgeRefused):
        pytest.skip("HHEM-2.1-open and google/flan-t5-base are not on this machine")
    pairs = [
        ("The capital of France is Berlin.", "The capital of France is Paris."),
        ("I am in California", "I am in United States."),
    ]
    assert judge._chances([judge._encode(*pair) for pair in pairs]) == pytest.approx([0.0111, 0.6474], abs=5e-4)
