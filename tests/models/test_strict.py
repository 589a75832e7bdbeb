"""Checkpoints that would load into something else than they declare."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from harness.errors import ConfigError, ModelError
from harness.models import load_model
from harness.models.base import BiEncoder, CrossEncoder, Model
from harness.models.tokenizer import open_tokenizer
from harness.models.weights import read_tensors
from harness.types import Pairs, Texts
from tests.models import made, tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def run(model: Model) -> None:
    if isinstance(model, BiEncoder):
        model.encode(Texts(["a"]))
    elif isinstance(model, CrossEncoder):
        model.score(Pairs(["a"], ["b"]))


@pytest.fixture
def spoiled(bi: Path, tmp_path: Path) -> Path:
    return tiny.copied(bi, tmp_path / "spoiled")


def test_missing_tensor(spoiled: Path, tmp_path: Path) -> None:
    state = tiny.tensors(spoiled)
    del state["encoder.layer.1.output.dense.weight"]
    tiny.store(spoiled, state)
    with pytest.raises(ModelError, match=r"1 missing: encoder\.layer\.1\.output\.dense\.weight"):
        run(tiny.load(spoiled, tmp_path))


def test_unexpected_tensor(spoiled: Path, tmp_path: Path) -> None:
    import torch

    state = tiny.tensors(spoiled)
    tiny.store(spoiled, {**state, "encoder.layer.0.mlp.gated.weight": torch.ones(2)})
    tiny.change(spoiled / "config.json", auto_map={"AutoModel": "modeling_bert.JinaBertModel"})
    with pytest.raises(ModelError, match=r"1 unexpected: encoder\.layer\.0\.mlp\.gated\.weight") as caught:
        run(tiny.load(spoiled, tmp_path))
    assert "auto_map" in str(caught.value)


def test_tensor_of_another_shape(spoiled: Path, tmp_path: Path) -> None:
    import torch

    tiny.store(spoiled, {**tiny.tensors(spoiled), "embeddings.LayerNorm.bias": torch.ones(8)})
    with pytest.raises(ModelError, match=r"of another shape: embeddings\.LayerNorm\.bias \[8\], not \[16\]"):
        run(tiny.load(spoiled, tmp_path))


def test_unused_pooler_and_position_ids_are_harmless(spoiled: Path, tmp_path: Path) -> None:
    import torch

    state = tiny.tensors(spoiled)
    assert "pooler.dense.weight" not in state
    more = {"pooler.dense.weight": torch.ones(16, 16), "pooler.dense.bias": torch.ones(16)}
    tiny.store(spoiled, {**state, **more, "embeddings.position_ids": torch.arange(48)[None]})
    run(tiny.load(spoiled, tmp_path))


def test_pooler_of_a_classifier_is_used(cross: Path, tmp_path: Path) -> None:
    folder = tiny.copied(cross, tmp_path / "c")
    state = tiny.tensors(folder)
    del state["bert.pooler.dense.weight"]
    tiny.store(folder, state)
    with pytest.raises(ModelError, match=r"1 missing: bert\.pooler\.dense\.weight"):
        run(tiny.load(folder, tmp_path))


def test_classifier_without_a_head(cross: Path, tmp_path: Path) -> None:
    folder = tiny.copied(cross, tmp_path / "c")
    tiny.store(folder, {k: v for k, v in tiny.tensors(folder).items() if not k.startswith("classifier.")})
    with pytest.raises(ModelError, match=r"2 missing: classifier\.bias, classifier\.weight"):
        run(tiny.load(folder, tmp_path))


def test_language_model_head_needs_a_catalog_row(spoiled: Path, tmp_path: Path) -> None:
    import torch

    tiny.store(spoiled, {**tiny.tensors(spoiled), "cls.predictions.bias": torch.ones(4)})
    with pytest.raises(ModelError, match=r"cls\.predictions\.bias"):
        run(tiny.load(spoiled, tmp_path))
    rows = tmp_path / "mine.yaml"
    rows.write_text(
        "models:\n  mine:\n    kind: bi-encoder\n    adapter: dense\n    path: spoiled\n"
        "    unused_tensors: [cls.predictions.]\n"
    )
    run(load_model("mine", catalog=rows, cache=tmp_path, device="cpu"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_tensor(spoiled: Path, tmp_path: Path, value: float) -> None:
    state = tiny.tensors(spoiled)
    state["encoder.layer.0.output.dense.bias"][3] = value
    tiny.store(spoiled, state)
    with pytest.raises(ModelError, match=r"'encoder\.layer\.0\.output\.dense\.bias' holds NaN or infinity"):
        run(tiny.load(spoiled, tmp_path))


def test_reranker_as_bi_encoder_is_refused_before_weights(cross: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.yaml").write_text(
        f"models:\n  wrong:\n    kind: bi-encoder\n    adapter: dense\n    path: {cross}\n"
    )
    with pytest.raises(ModelError, match=r"classifier with 1 label\(s\), not a bi-encoder"):
        load_model("wrong", catalog=tmp_path / "rows.yaml", cache=tmp_path)


def test_bi_encoder_as_reranker_is_refused_before_weights(bi: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.yaml").write_text(
        f"models:\n  wrong:\n    kind: cross-encoder\n    adapter: cross\n    path: {bi}\n"
    )
    with pytest.raises(ModelError, match="is a bi-encoder, not a cross-encoder"):
        load_model("wrong", catalog=tmp_path / "rows.yaml", cache=tmp_path)


def test_row_and_adapter_must_agree(bi: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.yaml").write_text(
        f"models:\n  wrong:\n    kind: cross-encoder\n    adapter: dense\n    path: {bi}\n"
    )
    with pytest.raises(ModelError, match="catalog says cross-encoder, adapter 'dense' gives bi-encoder"):
        load_model("wrong", catalog=tmp_path / "rows.yaml", cache=tmp_path)


def test_pickle_needs_leave(spoiled: Path, tmp_path: Path) -> None:
    import numpy as np
    import torch

    expected = tiny.load(spoiled, tmp_path).encode(Texts(tiny.TEXTS))
    torch.save(tiny.tensors(spoiled), spoiled / "pytorch_model.bin")
    (spoiled / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"pickle weights only \(pytorch_model\.bin\)"):
        tiny.load(spoiled, tmp_path)
    model = tiny.load(spoiled, tmp_path, allow_pickle=True)
    np.testing.assert_array_equal(model.encode(Texts(tiny.TEXTS)), expected)


def test_shards(spoiled: Path, tmp_path: Path) -> None:
    import numpy as np
    from safetensors.torch import save_file

    expected = tiny.load(spoiled, tmp_path).encode(Texts(tiny.TEXTS))
    state = tiny.tensors(spoiled)
    halves = [dict(list(state.items())[:9]), dict(list(state.items())[9:])]
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for name, half in zip(names, halves, strict=True):
        save_file(half, spoiled / name, metadata={"format": "pt"})
    index = {key: name for name, half in zip(names, halves, strict=True) for key in half}
    tiny.put(spoiled / "model.safetensors.index.json", {"metadata": {}, "weight_map": index})
    (spoiled / "model.safetensors").unlink()
    np.testing.assert_array_equal(tiny.load(spoiled, tmp_path).encode(Texts(tiny.TEXTS)), expected)
    (spoiled / names[1]).unlink()
    with pytest.raises(ModelError, match="model-00002-of-00002"):
        tiny.load(spoiled, tmp_path)


def test_truncated_weights(spoiled: Path, tmp_path: Path) -> None:
    raw = (spoiled / "model.safetensors").read_bytes()
    (spoiled / "model.safetensors").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(
        ModelError, match=r"model\.safetensors: its weights cannot be read \(.*\nfetch or write"
    ):
        run(tiny.load(spoiled, tmp_path))


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "privateuseone"])
def test_a_device_that_is_not_there_is_told_in_short_with_those_that_are(
    bi: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(
        ConfigError, match=f"device '{name}' cannot be used: .*\nthis machine has: cpu"
    ) as told:
        run(tiny.load(bi, tmp_path, device=name))
    assert max(map(len, str(told.value).splitlines())) < 180


def test_unknown_architecture_names_its_own_code(spoiled: Path, tmp_path: Path) -> None:
    tiny.change(spoiled / "config.json", model_type="nobody", auto_map={"AutoModel": "code.Model"})
    with pytest.raises(ModelError, match="code of its own") as caught:
        run(tiny.load(spoiled, tmp_path))
    assert "\n" not in str(caught.value)


def test_rebuilt_tokenizer_that_disagrees(spoiled: Path, tmp_path: Path) -> None:
    """transformers rebuilds a BertTokenizer; this tokenizer.json does not lower-case."""
    import json

    content = json.loads((spoiled / "tokenizer.json").read_text(encoding="utf-8"))
    content["normalizer"]["lowercase"] = False
    tiny.put(spoiled / "tokenizer.json", content)
    with pytest.raises(ModelError, match=r"BertTokenizer.*disagrees"):
        run(tiny.load(spoiled, tmp_path))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("config.json", "{", "cannot be read as JSON"),
        ("config.json", "[]", "dict expected"),
        ("config.json", None, r"no config\.json"),
        ("model.safetensors", None, "holds no weights"),
        ("modules.json", '[{"type": "x.WordEmbeddings", "path": ""}]', "first module is 'WordEmbeddings'"),
        ("modules.json", '[{"type": "a.Transformer", "path": ""}, {"type": "b.CNN", "path": "1"}]', "'CNN'"),
        ("modules.json", '[{"type": "a.Transformer", "path": ""}, {"type": "b.Normalize"}]', "no Pooling"),
        ("1_Pooling/config.json", None, r"1_Pooling/config\.json is missing.*names a Pooling"),
        ("1_Pooling/config.json", '{"pooling_mode": "best"}', "pooling mode 'best'"),
        ("1_Pooling/config.json", '{"pooling_mode_best_tokens": true}', "'pooling_mode_best_tokens' is not"),
        ("sentence_bert_config.json", '{"query_length": 8}', "'query_length' is set"),
        ("sentence_bert_config.json", '{"modality_config": {"message": {}}}', "modality_config"),
        ("adapter_config.json", "{}", "PEFT"),
    ],
)
def test_broken_folders(spoiled: Path, tmp_path: Path, file: str, text: str | None, message: str) -> None:
    if text is None:
        (spoiled / file).unlink()
    else:
        (spoiled / file).write_text(text)
    with pytest.raises(ModelError, match=message):
        tiny.load(spoiled, tmp_path)


@pytest.mark.parametrize("wrong", [0, 1])
def test_ids_of_a_sentencepiece_model(
    spoiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    """XLM-R's ids: that of the piece and one, three where there is no piece; each of them is compared."""
    import transformers
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    (tmp_path / "text").write_text(
        "the quick brown fox jumps\nline one two tab\n東京都の天気は晴れです\n" * 20
    )
    SentencePieceTrainer.train(
        input=str(tmp_path / "text"), model_prefix=str(tmp_path / "m"), vocab_size=70, minloglevel=2,
        hard_vocab_limit=False, character_coverage=1.0,
    )  # fmt: skip
    (tmp_path / "m.model").rename(spoiled / "sentencepiece.bpe.model")
    (spoiled / "tokenizer.json").unlink()
    pieces = SentencePieceProcessor(model_file=str(spoiled / "sentencepiece.bpe.model"))

    class XLMRobertaTokenizer:
        def __call__(self, texts: list[str], **_: object) -> dict[str, list[list[int]]]:
            rows = [[piece + 1 if piece else 3 for piece in pieces.encode(text)] for text in texts]
            rows[-1][-1] += wrong
            return {"input_ids": rows}

    built = XLMRobertaTokenizer()
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **__: built)
    if not wrong:
        assert open_tokenizer(spoiled) is built
        return
    with pytest.raises(ModelError, match=r"XLMRobertaTokenizer.*disagrees with sentencepiece\.bpe\.model"):
        open_tokenizer(spoiled)


def test_a_language_model_is_no_encoder_unless_somebody_says_so(tmp_path: Path) -> None:
    """Rerankers are stored so too; a mean over their tokens would score as if it meant something."""
    folder = made.qwen3(tmp_path / "qwen")
    tiny.load(folder, tmp_path)
    (folder / "modules.json").unlink()
    with pytest.raises(ModelError, match=r"is a Qwen3ForCausalLM without modules\.json"):
        tiny.load(folder, tmp_path)
    rows = tmp_path / "mine.yaml"
    rows.write_text("models:\n  mine: {kind: bi-encoder, adapter: dense, path: qwen, pooling: lasttoken}\n")
    card = load_model("mine", catalog=rows, cache=tmp_path, device="cpu").card
    assert card.pooling == "lasttoken"


def test_pickle_that_holds_something_else(spoiled: Path, tmp_path: Path) -> None:
    """As where a pointer of git-lfs was copied; read by this program where tensors are renamed."""
    (spoiled / "pytorch_model.bin").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin: no pickle of tensors alone, or a damaged one"):
        dict(read_tensors(spoiled / "pytorch_model.bin"))


def test_no_tokenizer(spoiled: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (spoiled / name).unlink()
    with pytest.raises(ModelError, match="holds no tokenizer"):
        tiny.load(spoiled, tmp_path)


def test_libraries_are_silent_and_left_as_they_were(
    spoiled: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    import transformers

    # What the environment said when the library was first imported; a command run before may have set it.
    bars = sys.modules["huggingface_hub.utils.tqdm"]
    monkeypatch.setattr(bars, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    transformers.utils.logging.enable_progress_bar()
    before = logging.getLogger("transformers").level
    tiny.store(spoiled, {**tiny.tensors(spoiled), "pooler.dense.bias": torch.ones(16)})
    run(tiny.load(spoiled, tmp_path))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert transformers.utils.logging.is_progress_bar_enabled()
    assert logging.getLogger("transformers").level == before
