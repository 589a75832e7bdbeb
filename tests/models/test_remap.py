"""Checkpoints whose tensors have other names than transformers', and what is refused of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import ModelError
from harness.models import load_model
from harness.models.base import BiEncoder, CrossEncoder
from harness.models.cross import Cross
from harness.types import Float32, Pairs, Texts
from tests.models import formulas, made, tiny
from tests.models.test_architectures import rounded, token_ids

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
PAIRS = Pairs(
    ["which planet is red?", "which planet is red?", "a moon " * 40, "", "東京"],
    ["mars", "the sun is a known planet " * 9, "the " * 40, "sun", "天気は晴れです"],
)
WQKV = "roberta.encoder.layers.1.mixer.Wqkv"


@pytest.fixture(scope="module")
def flash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.flash_reranker(tmp_path_factory.mktemp("made") / "jina-reranker")


@pytest.fixture
def spoiled(flash: Path, tmp_path: Path) -> Path:
    return tiny.copied(flash, tmp_path / "spoiled")


def score(folder: Path, cache: Path, **options: Any) -> Float32:
    model = tiny.load(folder, cache, **options)
    assert isinstance(model, CrossEncoder)
    return model.score(PAIRS)


def due(folder: Path, dtype: str = "float32") -> np.ndarray:
    """`<s> query </s></s> document </s>`, the longer side cut, through the file's own names."""
    import json

    import torch

    config, state = json.loads((folder / "config.json").read_text()), rounded(folder, dtype)
    ids = token_ids(folder, list(zip(PAIRS.left, PAIRS.right, strict=True)), 48)
    assert ids[0].count(2) == 3
    assert max(map(len, ids)) == 48
    rows = (formulas.flash_xlm_roberta(state, config, torch.tensor(row)) for row in ids)
    return torch.stack([formulas.classified(state, row) for row in rows]).numpy()


@pytest.mark.parametrize(("dtype", "near"), [("float32", 1e-5), ("bfloat16", 5e-3)])
def test_fused_names_equal_the_formulas(flash: Path, tmp_path: Path, dtype: str, near: float) -> None:
    expected = due(flash, dtype)
    assert np.ptp(expected) > 0.05
    np.testing.assert_allclose(score(flash, tmp_path, dtype=dtype), expected, rtol=0, atol=near)


def test_a_folder_off_the_catalog_is_known_for_what_it_is(flash: Path, tmp_path: Path) -> None:
    model = tiny.load(flash, tmp_path)
    assert isinstance(model, Cross)
    assert (model.card.kind, model.card.max_length, model.card.pooling) == ("cross-encoder", 48, "sigmoid")
    assert model.card.dtype == "float32", "the file's own dtype is not taken"
    model.score(PAIRS)
    assert model._runtime is not None
    assert model._runtime.fused is not None
    with pytest.raises(ModelError, match="positions for 48 tokens"):
        tiny.load(flash, tmp_path, max_length=49)


def test_the_catalog_row_takes_a_folder(flash: Path, tmp_path: Path) -> None:
    """Its maximum of 1,024 tokens needs that many positions."""
    import torch

    folder = tiny.copied(flash, tmp_path / "long")
    tiny.change(folder / "config.json", max_position_embeddings=1026)
    name = "roberta.embeddings.position_embeddings.weight"
    state = tiny.tensors(folder)
    tiny.store(folder, {**state, name: torch.cat([state[name], torch.ones(976, made.H).bfloat16()])})
    model = load_model("jina-reranker-v2", weights=folder, cache=tmp_path, device="cpu")
    assert isinstance(model, CrossEncoder)
    assert (model.card.max_length, model.card.variant) == (1024, ())
    assert model.card.name == "jinaai/jina-reranker-v2-base-multilingual"
    assert np.isfinite(model.score(Pairs(["mars " * 900], ["sun " * 900]))).all()


@pytest.mark.parametrize("family", [None, "", "xlm-roberta"])
def test_a_fine_tune_under_native_names(flash: Path, tmp_path: Path, family: str | None) -> None:
    """As sentence-transformers saves one; the loader is chosen by the names, whatever config.json says."""
    folder = native(flash, tmp_path / "native")
    if family is not None:
        tiny.change(folder / "config.json", model_type=family)
    np.testing.assert_allclose(score(folder, tmp_path), due(flash), rtol=0, atol=1e-5)


def test_fused_names_under_a_declared_family(spoiled: Path, flash: Path, tmp_path: Path) -> None:
    tiny.change(spoiled / "config.json", model_type="xlm-roberta")
    np.testing.assert_allclose(score(spoiled, tmp_path), due(flash), rtol=0, atol=1e-5)


def test_shards_and_a_config_that_says_little(spoiled: Path, flash: Path, tmp_path: Path) -> None:
    import json

    from safetensors.torch import save_file

    config = json.loads((spoiled / "config.json").read_text())
    for key in ("architectures", "num_labels", "id2label", "label2id"):
        del config[key]
    tiny.put(spoiled / "config.json", config)
    state = list(tiny.tensors(spoiled).items())
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for name, half in zip(names, (dict(state[:20]), dict(state[20:])), strict=True):
        save_file(half, spoiled / name)
    index = {key: names[int(i >= 20)] for i, (key, _) in enumerate(state)}
    tiny.put(spoiled / "model.safetensors.index.json", {"metadata": {}, "weight_map": index})
    (spoiled / "model.safetensors").unlink()
    np.testing.assert_allclose(score(spoiled, tmp_path), due(flash), rtol=0, atol=1e-5)


def test_what_is_missing_left_over_or_of_another_shape(spoiled: Path, tmp_path: Path) -> None:
    import torch

    state = tiny.tensors(spoiled)
    without = {name: tensor for name, tensor in state.items() if name != f"{WQKV}.bias"}
    cases = [
        (without, r"3 missing: roberta\.encoder\.layer\.1\.attention\.self\.key\.bias, "),
        ({**state, "roberta.encoder.layers.0.mlp.fc3.bias": torch.ones(2)}, r"1 unexpected: .*fc3\.bias"),
        ({**state, f"{WQKV}.weight": torch.ones(30, made.H)}, r"3 of another shape: .* \[10, 32\], not"),
        ({**state, f"{WQKV}.weight": torch.ones(31, made.H)}, "31 rows, which are no three projections"),
        ({**state, f"{WQKV}.bias": torch.full((96,), float("nan"))}, "holds NaN or infinity"),
        (
            {**state, "roberta.encoder.layer.1.attention.self.key.bias": torch.ones(made.H)},
            "is stored a second time",
        ),
    ]  # fmt: skip
    for changed, message in cases:
        tiny.store(spoiled, changed)
        with pytest.raises(ModelError, match=message):
            score(spoiled, tmp_path)


def test_other_networks_under_fused_names_are_refused(spoiled: Path, tmp_path: Path) -> None:
    tiny.change(spoiled / "config.json", position_embedding_type="rotary", model_type="xlm-roberta")
    with pytest.raises(ModelError, match="'rotary' positions cannot be loaded"):
        tiny.load(spoiled, tmp_path)


def test_a_config_without_sizes_and_damaged_weights(spoiled: Path, tmp_path: Path) -> None:
    import json

    config = json.loads((spoiled / "config.json").read_text())
    tiny.put(spoiled / "config.json", {k: v for k, v in config.items() if k != "layer_norm_eps"})
    with pytest.raises(ModelError, match=r"config\.json names no layer_norm_eps"):
        score(spoiled, tmp_path)
    tiny.put(spoiled / "config.json", config)
    raw = (spoiled / "model.safetensors").read_bytes()
    (spoiled / "model.safetensors").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ModelError, match=r"model\.safetensors: its weights cannot be read"):
        score(spoiled, tmp_path)
    (spoiled / "model.safetensors").write_bytes(raw[:100])
    with pytest.raises(ModelError, match="cannot be loaded"):
        score(spoiled, tmp_path)
    for header in (b'{"a": {"dtype": "F32"}}', b'{"a": 1}', b"[1]", b"{"):
        (spoiled / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        with pytest.raises(ModelError, match=r"model\.safetensors cannot be loaded: its header"):
            score(spoiled, tmp_path)


def test_luke_equals_transformers_own(tmp_path: Path) -> None:
    """Words only, one text at a time."""
    import torch
    import transformers

    folder = made.luke(tmp_path / "luke")
    model = tiny.load(folder, tmp_path)
    assert isinstance(model, BiEncoder)
    reference = transformers.LukeModel.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    rows = token_ids(folder, made.TEXTS, 48)
    with torch.inference_mode():
        expected = [
            reference.eval()(torch.tensor([ids])).last_hidden_state[0].mean(0).numpy() for ids in rows
        ]
    np.testing.assert_allclose(model.encode(Texts(made.TEXTS)), np.stack(expected), rtol=0, atol=2e-6)


def test_luke_with_a_sentencepiece_model_alone(tmp_path: Path) -> None:
    """GLuCoSE's ids: that of the piece and one, between 0 and 2; transformers' own tokenizer gives others."""
    import json

    import torch
    from sentencepiece import SentencePieceProcessor

    folder = made.luke_with_pieces(tmp_path / "glucose")
    pieces = SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))
    texts = ["which planet is red?", "", "東京都の天気", "ＡＢＣ　１２３ ｶｷｸ\nthe sun", "€"]
    rows = [[0, *(piece + 1 if piece else 3 for piece in pieces.encode(text)), 2] for text in texts]
    assert 3 in rows[4]
    config, state = json.loads((folder / "config.json").read_text()), rounded(folder, "float32")
    due = [formulas.bert(state, config, torch.tensor(ids), 0, offset=2).mean(0).numpy() for ids in rows]
    model = tiny.load(folder, tmp_path)
    np.testing.assert_allclose(model.encode(Texts(texts)), np.stack(due), rtol=0, atol=1e-5)


def test_luke_leaves_out_what_entities_use_and_nothing_else(tmp_path: Path) -> None:
    import torch

    folder = made.luke(tmp_path / "luke")
    state = tiny.tensors(folder)
    for name in ("encoder.layer.0.attention.self.w2w_query.bias", "entity_predictions.bias"):
        tiny.store(folder, {**state, name: torch.ones(made.H)})
        with pytest.raises(ModelError, match=f"1 unexpected: {name}"):
            tiny.load(folder, tmp_path).encode(Texts(["a"]))
    tiny.store(folder, {k: v for k, v in state.items() if k != "encoder.layer.2.attention.self.query.bias"})
    with pytest.raises(ModelError, match=r"1 missing: encoder\.layer\.2\.attention\.self\.query\.bias"):
        tiny.load(folder, tmp_path).encode(Texts(["a"]))


def test_luke_from_pickle_that_is_allowed(tmp_path: Path) -> None:
    import torch

    folder = made.luke(tmp_path / "luke")
    expected = tiny.load(folder, tmp_path).encode(Texts(made.TEXTS))
    torch.save(tiny.tensors(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    model = tiny.load(folder, tmp_path, allow_pickle=True)
    np.testing.assert_array_equal(model.encode(Texts(made.TEXTS)), expected)


def test_ids_of_luke_are_guarded(tmp_path: Path) -> None:
    """What transformers builds must answer as tokenizer.json does."""
    import json

    folder = made.luke(tmp_path / "luke")
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["normalizer"] = {"type": "Lowercase"}
    content["pre_tokenizer"] = {
        "type": "Metaspace",
        "replacement": "▁",
        "prepend_scheme": "never",
        "split": True,
    }
    tiny.put(folder / "tokenizer.json", content)
    with pytest.raises(ModelError, match=r"XLMRobertaTokenizer.*disagrees"):
        tiny.load(folder, tmp_path).encode(Texts(["a"]))


def native(flash: Path, target: Path) -> Path:
    """The same network as transformers' own class saves it, still without a model_type."""
    import torch

    folder = tiny.copied(flash, target)
    state: dict[str, Any] = {}
    for name, tensor in tiny.tensors(folder).items():
        if ".mixer.Wqkv." in name:
            for part, rows in zip(("query", "key", "value"), torch.split(tensor, made.H), strict=True):
                state[name.replace("layers", "layer").replace("mixer.Wqkv", f"attention.self.{part}")] = (
                    rows.clone()
                )
            continue
        for old, new in (
            ("emb_ln", "embeddings.LayerNorm"), ("encoder.layers", "encoder.layer"),
            ("norm2", "output.LayerNorm"), ("norm1", "attention.output.LayerNorm"),
            ("mixer.out_proj", "attention.output.dense"),
            ("mlp.fc1", "intermediate.dense"), ("mlp.fc2", "output.dense"),
        ):  # fmt: skip
            name = name.replace(old, new)
        state[name] = tensor
    tiny.store(folder, state)
    return folder
