"""Loading a model and asking it: what every caller of `load`, `summarize` and `stream` relies on."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

import pytest

from dialogues.dialogue import Dataset, Dialogue, Turn
from prompting import model as door
from prompting.catalog import DEFAULT
from prompting.decoding import Margins, loop_start
from prompting.model import Decoding, ModelRefused, count_tokens, load
from prompting.source import find, note_base, parameters

SHORT = Decoding(max_new_tokens=16)


@pytest.fixture(scope="module")
def prompts(chats: Dataset) -> list[str]:
    return [f"Summarize:\n{e.dialogue.text}" for split in chats.splits.values() for e in split]


@pytest.fixture(scope="module")
def tied_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with all its words nearly equally likely, so that rounding alone would choose between them."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("models") / "tied"
    shutil.copytree(tiny_model, folder)
    weights = load_file(folder / "model.safetensors")
    weights["decoder.final_layer_norm.weight"] *= 1e-5
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter that changes what the tiny model says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSeq2SeqLM

    folder = tmp_path_factory.mktemp("run") / "checkpoint-7"
    torch.manual_seed(1)
    config = LoraConfig(task_type="SEQ_2_SEQ_LM", r=4, target_modules=["q", "v"], init_lora_weights=False)
    model = get_peft_model(AutoModelForSeq2SeqLM.from_pretrained(tiny_model), config)
    model.peft_config["default"].base_model_name_or_path = str(tiny_model)
    model.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


def test_a_summary_does_not_depend_on_its_batch(tiny_model: Path, prompts: list[str]) -> None:
    summarizer = load(str(tiny_model))
    together = summarizer.summarize(prompts, SHORT)
    shuffled = random.Random(0).sample(range(len(prompts)), len(prompts))
    assert [summarizer.summarize([prompt], SHORT)[0] for prompt in prompts[::5]] == together[::5]
    assert summarizer.summarize([prompts[i] for i in shuffled], SHORT) == [together[i] for i in shuffled]


def test_even_near_ties_do_not_depend_on_the_batch(
    tied_model: Path, prompts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    summarizer = load(str(tied_model))
    alone = [summarizer.summarize([prompt], SHORT)[0] for prompt in prompts[:8]]
    assert summarizer.summarize(prompts[:8], SHORT) == alone
    margins = Margins()
    ids = [door.encode(summarizer._tokenizer, p, 512)[0] for p in prompts[:8]]  # type: ignore[attr-defined]
    rows = summarizer._generate(ids, SHORT, logits_processor=[margins])  # type: ignore[attr-defined]
    assert max(margins.closest(rows, pad=0)) < door.NEAR_TIE["torch.float32"]


def test_summaries_come_in_the_order_of_the_prompts_with_progress(tiny_model: Path, prompts: list[str]) -> None:
    seen: list[tuple[int, int]] = []
    summaries = load(str(tiny_model)).summarize(prompts, SHORT, lambda done, total: seen.append((done, total)))
    assert [summary.tokens_in for summary in summaries] == count_tokens(str(tiny_model), prompts)
    assert seen[-1] == (len(prompts), len(prompts)) and seen == sorted(seen)


def test_no_prompts_give_no_summaries(tiny_model: Path) -> None:
    assert load(str(tiny_model)).summarize([], SHORT) == []
    assert count_tokens(str(tiny_model), []) == []


def test_beam_search_does_not_depend_on_its_batch(tiny_model: Path, prompts: list[str]) -> None:
    summarizer, beams = load(str(tiny_model)), Decoding(max_new_tokens=8, beams=3)
    assert summarizer.summarize(prompts[:3], beams) == [summarizer.summarize([p], beams)[0] for p in prompts[:3]]
    assert list(summarizer.stream(prompts[0], beams)) == [summarizer.summarize([prompts[0]], beams)[0].text]


def test_a_stream_grows_and_ends_in_the_summary(tiny_model: Path, prompts: list[str]) -> None:
    summarizer = load(str(tiny_model))
    for prompt in prompts[:3]:
        texts = list(summarizer.stream(prompt, SHORT))
        assert texts[-1] == summarizer.summarize([prompt], SHORT)[0].text
        assert len(texts) == SHORT.max_new_tokens + 1
        assert len(texts[0]) < len(texts[-1])


def test_a_stream_that_nobody_reads_stops_the_model(tiny_model: Path, prompts: list[str]) -> None:
    import threading

    before = threading.active_count()
    texts = load(str(tiny_model)).stream(prompts[0], Decoding(max_new_tokens=100_000, loop=0))
    next(texts)
    texts.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if "_feed" in thread.name:
            thread.join(10)
    assert threading.active_count() <= before


def test_a_summary_that_was_stopped_says_so(tiny_model: Path, prompts: list[str]) -> None:
    summary = load(str(tiny_model)).summarize(prompts[:1], SHORT)[0]
    assert summary.output_truncated and summary.tokens_out == SHORT.max_new_tokens


def test_a_summary_that_ended_by_itself_says_so(tiny_model: Path, prompts: list[str], tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(tiny_model), AutoModelForSeq2SeqLM.from_pretrained(tiny_model)
    inputs, labels = tokenizer(prompts[:1], return_tensors="pt"), tokenizer("A refund.", return_tensors="pt")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        model(**inputs, labels=labels.input_ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(tmp_path / "ending")
    tokenizer.save_pretrained(tmp_path / "ending")
    summarizer = load(str(tmp_path / "ending"))
    summary = summarizer.summarize(prompts[:2], SHORT)[0]
    assert summary.text == "A refund." and not summary.output_truncated
    assert summary.tokens_out == labels.input_ids.shape[1] - 1
    assert list(summarizer.stream(prompts[0], SHORT))[-1] == summary.text


def test_a_prompt_longer_than_the_window_is_cut_and_says_so(tiny_model: Path, prompts: list[str]) -> None:
    long = " ".join(prompts)
    cut, whole = load(str(tiny_model)).summarize([long, prompts[0]], SHORT)
    assert cut.input_truncated and cut.tokens_in == count_tokens(str(tiny_model), [long])[0] > 512
    assert not whole.input_truncated


def test_a_loaded_model_stays_until_two_others_came(
    tiny_model: Path, tied_model: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(str(tiny_model))
    assert load(str(tiny_model)) is first
    load(str(tied_model))
    load(str(adapter))
    assert load(str(tiny_model)) is not first


def test_the_digest_names_the_weights(tiny_model: Path, tied_model: Path, adapter: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_model, tmp_path / "elsewhere")
    digests = {folder: find(str(folder)).digest for folder in (tiny_model, tied_model, adapter, copy)}
    assert digests[copy] == digests[tiny_model] == load(str(tiny_model)).digest
    assert len(set(digests.values())) == 3 and all(len(bytes.fromhex(digest)) == 6 for digest in digests.values())


def test_an_adapter_is_merged_into_its_base(tiny_model: Path, adapter: Path, prompts: list[str]) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    summarizer = load(str(adapter))
    assert summarizer.name == "checkpoint 7"
    loose = PeftModel.from_pretrained(AutoModelForSeq2SeqLM.from_pretrained(tiny_model), adapter).eval()
    ids = AutoTokenizer.from_pretrained(tiny_model)(prompts[:1], return_tensors="pt")
    start = torch.zeros((1, 1), dtype=torch.long)
    merged = summarizer._model(**ids, decoder_input_ids=start).logits  # type: ignore[attr-defined]
    torch.testing.assert_close(merged, loose(**ids, decoder_input_ids=start).logits, atol=1e-4, rtol=1e-4)
    assert summarizer.summarize(prompts[:1], SHORT) != load(str(tiny_model)).summarize(prompts[:1], SHORT)


def test_a_head_of_its_own_is_kept(tiny_model: Path, tmp_path: Path) -> None:
    """FLAN-T5 reads and writes words with different weights; the two must not be tied on loading or saving."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_model, tmp_path / "untied")
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["shared.weight"].flip(0).contiguous()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(
        json.dumps({**json.loads((folder / "config.json").read_text()), "tie_word_embeddings": False})
    )
    model = door.open_weights(find(str(folder)), torch.float32)
    model.save_pretrained(tmp_path / "again")
    again = door.open_weights(find(str(tmp_path / "again")), torch.float32)
    for opened in (model, again):
        assert torch.equal(opened.lm_head.weight, weights["lm_head.weight"])
        assert torch.equal(opened.shared.weight, weights["shared.weight"])
        assert opened.config.scale_decoder_outputs is False


def test_parameters_are_counted_without_loading(tiny_model: Path) -> None:
    assert parameters(str(tiny_model)) == load(str(tiny_model))._model.num_parameters()  # type: ignore[attr-defined]
    assert parameters("google/flan-t5-small") == 76_961_152


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: shutil.rmtree(folder), "no model at"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'), "bert model"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "no .safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"short"), "could not be read"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "could not be read"),
    ],
)
def test_what_is_no_usable_model_is_refused_with_a_remedy(tiny_model: Path, tmp_path: Path, change, words) -> None:  # type: ignore[no-untyped-def]
    folder = shutil.copytree(tiny_model, tmp_path / "broken")
    change(folder)
    with pytest.raises(ModelRefused, match=words) as refused:
        load(str(folder))
    assert refused.value.problems[0].remedy


def test_an_adapter_is_refused_where_its_base_has_other_weights_than_it_was_learned_on(
    tiny_model: Path, tied_model: Path, adapter: Path, tmp_path: Path
) -> None:
    folders = [shutil.copytree(adapter, tmp_path / name) for name in ("as learned", "after an update")]
    for folder, base in zip(folders, (tiny_model, tied_model), strict=True):
        note_base(folder, find(str(base)))
    assert load(str(folders[0])).summarize(["Summarize: hello"], SHORT)
    with pytest.raises(ModelRefused, match="weights have changed since"):
        door.open_weights(find(str(folders[1])), None)


def test_an_adapter_without_its_base_is_refused(adapter: Path, tmp_path: Path) -> None:
    for base in ("/nowhere/at/all", str(adapter)):
        folder = shutil.copytree(adapter, tmp_path / f"orphan-{len(base)}")
        record = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps({**record, "base_model_name_or_path": base}))
        with pytest.raises(ModelRefused):
            load(str(folder))


def test_a_hub_model_that_cannot_be_had_is_refused_in_words() -> None:
    said: list[str] = []
    with pytest.raises(ModelRefused, match="could not be fetched"):
        load("tuneproof/there-is-no-such-model", progress=said.append)
    assert said == ["Fetching tuneproof/there-is-no-such-model from the hub…"]


def test_a_summary_may_name_somebody_twice_however_many_tokens_the_name_has(chats: Dataset) -> None:
    names = {"Customer": "#Person1#", "Agent": "#Person2#"}
    dialogues = [
        Dialogue(one.dialogue.id, tuple(Turn(names[turn.speaker], turn.text) for turn in one.dialogue.turns))
        for one in chats.splits["test"]
    ]
    summaries = load("bundled").summarize([DEFAULT.render(dialogue) for dialogue in dialogues], Decoding())
    assert max(one.text.count("#Person") for one in summaries) > 1
    for one in summaries:  # at the very end a name may be cut short
        assert "#" not in re.sub(r"#Person[12]#|#\w*$", "", one.text), one.text


def test_a_loop_begins_where_a_run_of_tokens_comes_again() -> None:
    assert loop_start([1, 2, 3, 4, 1, 2, 3, 5], 3) == 4
    assert loop_start([7, 7, 7, 7], 3) == 1
    assert loop_start([1, 2, 3, 4, 1, 2, 5], 3) is None
    assert loop_start([1, 1, 1, 1], 0) is None and loop_start([], 3) is None


def test_a_summary_ends_before_it_goes_round_in_circles_alone_in_a_batch_and_streamed(
    tiny_model: Path, prompts: list[str]
) -> None:
    summarizer = load(str(tiny_model))
    free, bound = Decoding(64, loop=0), Decoding(64, loop=2)
    together = summarizer.summarize(prompts[:6], bound)
    for prompt, one in zip(prompts[:6], together, strict=True):
        assert one == summarizer.summarize([prompt], bound)[0]
        assert list(summarizer.stream(prompt, bound))[-1] == one.text
        assert summarizer.summarize([prompt], free)[0].text.startswith(one.text)
    cut = [one for one in together if one.tokens_out < 64]
    assert cut and not any(one.output_truncated for one in cut)


def test_a_summary_that_would_go_round_in_circles_ends_with_its_last_whole_sentence() -> None:
    summarizer = load("bundled")
    encode = summarizer._tokenizer  # type: ignore[attr-defined]

    def ended(text: str) -> str:
        ids = encode(text).input_ids[:-1]
        return str(summarizer._text(summarizer._ended(ids, Decoding(loop=8))))  # type: ignore[attr-defined]

    again = " and the customer paid $14.89 for the lamp"
    assert ended(f"The agent said yes. The customer wrote{again}{again}") == "The agent said yes."
    assert ended(f"The customer wrote{again}. The agent agreed{again}.") == f"The customer wrote{again}."
    assert ended(f"The customer wrote{again}{again}") == f"The customer wrote{again}"
    assert ended("No circle here, and no sentence") == "No circle here, and no sentence"


def test_the_signature_says_how_the_text_was_drawn() -> None:
    assert Decoding().signature == "greedy max96 loop16 whole"
    assert Decoding(40, 4, 0).signature == "beam4 max40 loop0"
