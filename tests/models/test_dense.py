"""Bi-encoders against SentenceTransformer on the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import ConfigError, ModelError
from harness.models import dense, load_model
from harness.types import Texts
from tests.models import tiny

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def oracle(folder: Path, texts: list[str], **options: Any) -> np.ndarray:
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        str(folder),
        device="cpu",
        model_kwargs={"dtype": torch.float32},
        trust_remote_code=False,
        local_files_only=True,
    )
    return model.encode(texts, show_progress_bar=False, **options)


@pytest.mark.parametrize("batch_tokens", [1, 40, 4096])
def test_vectors_equal_sentence_transformers(bi: Path, tmp_path: Path, batch_tokens: int) -> None:
    model = tiny.load(bi, tmp_path, batch_tokens=batch_tokens)
    found = model.encode(Texts(tiny.TEXTS))
    assert found.dtype == np.float32
    assert found.shape == (len(tiny.TEXTS), 16)
    np.testing.assert_allclose(found, oracle(bi, tiny.TEXTS), atol=1e-6)
    assert len(np.unique(found.round(4), axis=0)) == len(tiny.TEXTS)


def test_card_of_a_folder(bi: Path, tmp_path: Path) -> None:
    card = tiny.load(bi, tmp_path).card
    assert (card.name, card.kind, card.dim, card.max_length) == ("local/tiny-bi", "bi-encoder", 16, 32)
    assert (card.pooling, card.normalized, card.dtype, card.variant) == ("mean", True, "float32", ())
    assert card.revision is not None
    assert len(card.revision) == 12
    assert card.fingerprint is not None
    assert len(card.fingerprint) == 64


def test_plain_transformers_checkpoint_is_mean_pooled(plain: Path, tmp_path: Path) -> None:
    model = tiny.load(plain, tmp_path)
    assert (model.card.pooling, model.card.normalized, model.card.max_length) == ("mean", False, 40)
    np.testing.assert_allclose(model.encode(Texts(tiny.TEXTS)), oracle(plain, tiny.TEXTS), atol=2e-6)


@pytest.mark.parametrize("mode", ["cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"])
def test_pooling_modes(bi: Path, tmp_path: Path, mode: str) -> None:
    folder = tiny.copied(bi, tmp_path / "m")
    tiny.put(folder / "1_Pooling/config.json", {"embedding_dimension": 16, "pooling_mode": [mode, "mean"]})
    model = tiny.load(folder, tmp_path)
    assert model.card.pooling == f"{mode}+mean"
    assert model.card.dim == 32
    np.testing.assert_allclose(model.encode(Texts(tiny.TEXTS)), oracle(folder, tiny.TEXTS), atol=1e-6)


@pytest.mark.parametrize(
    ("flag", "mode"),
    [
        ("cls_token", "cls"), ("max_tokens", "max"), ("mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
        ("weightedmean_tokens", "weightedmean"), ("lasttoken", "lasttoken"),
    ],
)  # fmt: skip
def test_pooling_modes_as_older_checkpoints_spell_them(
    bi: Path, tmp_path: Path, flag: str, mode: str
) -> None:
    folder = tiny.copied(bi, tmp_path / "m")
    content = {
        "word_embedding_dimension": 16,
        "pooling_mode_mean_tokens": False,
        f"pooling_mode_{flag}": True,
    }
    tiny.put(folder / "1_Pooling/config.json", content)
    model = tiny.load(folder, tmp_path)
    assert model.card.pooling == mode
    np.testing.assert_allclose(model.encode(Texts(tiny.TEXTS)), oracle(folder, tiny.TEXTS), atol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
def test_dense_and_layer_norm_behind_the_pooling(bi: Path, tmp_path: Path, bias: bool) -> None:
    import torch

    folder = tiny.copied(bi, tmp_path / "m")
    (folder / "2_Dense").mkdir()
    rows = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
        {"idx": 3, "name": "3", "path": "3_LayerNorm", "type": "sentence_transformers.models.LayerNorm"},
    ]
    tiny.put(folder / "modules.json", rows)
    activation = "torch.nn.modules.activation.Tanh" if bias else "torch.nn.modules.linear.Identity"
    tiny.put(
        folder / "2_Dense/config.json",
        {"in_features": 16, "out_features": 6, "bias": bias, "activation_function": activation},
    )
    generator = torch.Generator().manual_seed(5)
    state = {"linear.weight": torch.randn(6, 16, generator=generator)}
    tiny.store(folder / "2_Dense", {**state, **({"linear.bias": torch.ones(6)} if bias else {})})
    tiny.put(folder / "3_LayerNorm/config.json", {"dimension": 6})
    tiny.store(folder / "3_LayerNorm", {"norm.weight": torch.full((6,), 0.5), "norm.bias": torch.ones(6)})
    model = tiny.load(folder, tmp_path)
    assert (model.card.dim, model.card.pooling) == (6, "mean > Dense > LayerNorm")
    half = tiny.load(folder, tmp_path, dtype="bfloat16").encode(Texts(tiny.TEXTS))
    assert 0 < np.abs(half - model.encode(Texts(tiny.TEXTS))).max() < 0.05
    np.testing.assert_allclose(model.encode(Texts(tiny.TEXTS)), oracle(folder, tiny.TEXTS), atol=2e-6)

    tiny.store(folder / "2_Dense", {"linear.weight": torch.zeros(6, 15)})
    with pytest.raises(ModelError, match="2_Dense: tensors"):
        tiny.load(folder, tmp_path).encode(Texts(["a"]))


def test_prompt_left_out_of_pooling(bi: Path, tmp_path: Path) -> None:
    folder = tiny.copied(bi, tmp_path / "m")
    tiny.change(folder / "1_Pooling/config.json", include_prompt=False)
    prompt = "the red: "
    model = tiny.load(folder, tmp_path)
    found = model.encode(Texts([prompt + t for t in tiny.TEXTS], prompt=prompt))
    np.testing.assert_allclose(found, oracle(folder, tiny.TEXTS, prompt=prompt), atol=1e-6)
    assert abs(found - model.encode(Texts([prompt + t for t in tiny.TEXTS]))).max() > 1e-3


def test_do_lower_case(bi: Path, tmp_path: Path) -> None:
    folder = tiny.copied(bi, tmp_path / "m")
    tiny.change(folder / "tokenizer_config.json", do_lower_case=False)
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["normalizer"]["lowercase"] = False
    tiny.put(folder / "tokenizer.json", tokenizer)
    cased = tiny.load(folder, tmp_path).encode(Texts(["MARS"]))
    tiny.change(folder / "sentence_bert_config.json", do_lower_case=True)
    lowered = tiny.load(folder, tmp_path).encode(Texts(["MARS"]))
    np.testing.assert_allclose(lowered, oracle(folder, ["MARS"]), atol=1e-6)
    assert abs(cased - lowered).max() > 1e-3


def test_transformer_in_a_folder_of_its_own(bi: Path, tmp_path: Path) -> None:
    folder = tiny.copied(bi, tmp_path / "m")
    (folder / "0_Transformer").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
                 "sentence_bert_config.json"):  # fmt: skip
        (folder / name).rename(folder / "0_Transformer" / name)
    text = (folder / "modules.json").read_text().replace('"path": ""', '"path": "0_Transformer"')
    (folder / "modules.json").write_text(text)
    model = tiny.load(folder, tmp_path)
    expected = tiny.load(bi, tmp_path).encode(Texts(tiny.TEXTS))
    np.testing.assert_array_equal(model.encode(Texts(tiny.TEXTS)), expected)


def test_stored_half_precision_is_loaded_as_float32(bi: Path, tmp_path: Path) -> None:
    import torch

    folder = tiny.copied(bi, tmp_path / "m")
    tiny.store(folder, {k: v.to(torch.float16) for k, v in tiny.tensors(folder).items()})
    tiny.change(folder / "config.json", dtype="float16")
    whole = tiny.load(folder, tmp_path)
    half = tiny.load(folder, tmp_path, dtype="bfloat16")
    assert (whole.card.dtype, whole.card.variant) == ("float32", ())
    assert (half.card.dtype, half.card.variant) == ("bfloat16", ("bf16",))
    assert whole.card.fingerprint != half.card.fingerprint
    a, b = whole.encode(Texts(tiny.TEXTS)), half.encode(Texts(tiny.TEXTS))
    np.testing.assert_allclose(a, oracle(folder, tiny.TEXTS), atol=1e-6)
    assert b.dtype == np.float32
    assert 1e-5 < abs(a - b).max() < 0.1


def test_max_length(bi: Path, tmp_path: Path) -> None:
    model = load_model(f"{bi}+len5", cache=tmp_path, device="cpu")
    assert (model.card.max_length, model.card.variant) == (5, ("len5",))
    cut = model.encode(Texts(["the red planet mars", "the red planet sun"]))
    np.testing.assert_array_equal(cut[0], cut[1])
    same = tiny.load(bi, tmp_path, max_length=32)
    assert same.card.variant == ()
    with pytest.raises(ModelError, match="positions for 48 tokens"):
        tiny.load(bi, tmp_path, max_length=49)


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("dim", [4, 16])
def test_first_components_only(tmp_path: Path, unit: bool, dim: int) -> None:
    from sentence_transformers import SentenceTransformer

    folder = tiny.bi_encoder(tmp_path / "m", normalize=unit)
    model = tiny.load(folder, tmp_path, dim=dim)
    assert (model.card.dim, model.card.normalized) == (dim, unit)
    assert model.card.variant == (f"dim{dim}",)
    found = model.encode(Texts(tiny.TEXTS))
    oracle = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    due = oracle.encode(tiny.TEXTS, truncate_dim=dim, normalize_embeddings=unit)
    np.testing.assert_allclose(found, due, atol=1e-5)
    whole = tiny.load(folder, tmp_path).encode(Texts(tiny.TEXTS))
    assert np.array_equal(found, whole[:, :dim]) == (not unit or dim == 16)


def test_more_components_than_there_are(bi: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="length 16; 17"):
        tiny.load(bi, tmp_path, dim=17)


def test_a_stored_truncate_dim_is_a_plain_cut(bi: Path, tmp_path: Path) -> None:
    """As sentence-transformers applies it; asked for by name the same components have unit length."""
    folder = tiny.copied(bi, tmp_path / "m")
    tiny.change(folder / "config_sentence_transformers.json", truncate_dim=4)
    model, asked = tiny.load(folder, tmp_path), tiny.load(folder, tmp_path, dim=4)
    assert (model.card.dim, model.card.variant, model.card.normalized) == (4, (), False)
    whole = tiny.load(bi, tmp_path).encode(Texts(tiny.TEXTS))
    np.testing.assert_array_equal(model.encode(Texts(tiny.TEXTS)), whole[:, :4])
    np.testing.assert_allclose(np.linalg.norm(asked.encode(Texts(tiny.TEXTS)), axis=1), 1, atol=1e-6)
    assert asked.card.fingerprint != model.card.fingerprint


def test_a_cut_that_leaves_nothing_names_the_text(bi: Path, tmp_path: Path) -> None:
    model = tiny.load(bi, tmp_path, dim=4)
    bare = tiny.load(bi, tmp_path)
    assert isinstance(model, dense.Dense)
    assert isinstance(bare, dense.Dense)

    def without_a_start(hidden: Any, mask: Any) -> Any:
        out = hidden[:, 0].clone()
        out[:, :4] *= (mask.sum(1) != 3)[:, None]
        return out

    for opened in (model, bare):
        opened.encode(Texts(["sun"]))
        assert opened._opened is not None
        opened._opened = opened._opened[0], without_a_start
    with pytest.raises(ModelError, match="first 4 components are all zero for the text 'mars'"):
        model.encode(Texts(["the red planet", "mars"]))
    assert not bare.encode(Texts(["mars"]))[:, :4].any(), "nothing is wrong with the vector as a whole"


def test_quantised_vectors_of_a_cut_have_another_address(bi: Path, tmp_path: Path) -> None:
    """Neither says that it is of unit length; what they round is not the same."""
    folder = tiny.copied(bi, tmp_path / "m")
    tiny.change(folder / "config_sentence_transformers.json", truncate_dim=4)
    marks = {tiny.load(folder, tmp_path, dim=d, quant="int8").card.fingerprint for d in (4, None)}
    assert len(marks) == 2


def test_no_texts(bi: Path, tmp_path: Path) -> None:
    assert tiny.load(bi, tmp_path).encode(Texts([])).shape == (0, 16)


def test_similarity_and_prompts_stored_in_the_checkpoint(bi: Path, tmp_path: Path) -> None:
    folder = tiny.copied(bi, tmp_path / "m")
    prompts = {"query": "q: ", "passage": "p: ", "Classification": "c: ", "s2p": "x: ", "document": ""}
    stored = {"prompts": prompts, "default_prompt_name": "query", "similarity_fn_name": "dot"}
    tiny.put(folder / "config_sentence_transformers.json", stored)
    card = tiny.load(folder, tmp_path).card
    assert card.similarity == "dot"
    assert card.prompts == {"query": "q: ", "document": "p: ", "classification": "c: ", "sentence": "q: "}
    assert card.notes[-1].endswith("Classification, passage, query, s2p")
    assert card.notes[-2] == "stored prompts for no known role or task kind, never used: s2p"
    assert tiny.load(folder, tmp_path, prompts="none").card.variant == ("prompts-none",)
    assert tiny.load(bi, tmp_path, prompts="none").card.variant == ()
    tiny.change(folder / "config_sentence_transformers.json", similarity_fn_name="manhattan")
    with pytest.raises(ModelError, match="manhattan"):
        tiny.load(folder, tmp_path)


def test_options_that_make_no_sense(bi: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="int8"):
        tiny.load(bi, tmp_path, dtype="int8")
    with pytest.raises(ConfigError, match="backend"):
        tiny.load(bi, tmp_path, backend="openvino")
    with pytest.raises(ConfigError, match="at least 1"):
        tiny.load(bi, tmp_path, batch_tokens=0)
    with pytest.raises(ConfigError, match="nonsense"):
        tiny.load(bi, tmp_path, device="nonsense").encode(Texts(["a"]))


def test_auto_device_is_named_once_known(bi: Path, tmp_path: Path) -> None:
    model = tiny.load(bi, tmp_path, device="auto")
    before = model.card
    model.encode(Texts(["a"]))
    assert before.device == "auto"
    assert model.card.device in ("cpu", "mps") or model.card.device.startswith("cuda")
    assert model.card.fingerprint == before.fingerprint
