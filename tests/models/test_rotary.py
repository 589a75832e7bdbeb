"""jina-embeddings-v3, tiny and random, in both layouts: every adapter against the formulas in float64."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.engine.vectors import text_keys
from harness.errors import ModelError, UnknownNameError
from harness.models import load_model
from harness.models.base import BiEncoder
from harness.models.catalog import load_catalog
from harness.models.dense import Dense
from harness.types import Texts
from tests.models import formulas, made, tiny, tiny_rotary
from tests.models.test_architectures import rounded, token_ids

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
ROUTES = ["", *tiny_rotary.ADAPTERS]
TEXTS = [*made.TEXTS, "the red planet mars, a known moon of the sun " * 14]
NEAR = {"float32": 1e-5, "bfloat16": 5e-3}
LIMIT = tiny_rotary.POSITIONS - 2
WQKV = "roberta.encoder.layers.1.mixer.Wqkv.parametrizations.weight"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_rotary.published(tmp_path_factory.mktemp("made") / "jina-v3")


@pytest.fixture(scope="module")
def native(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_rotary.native(published, tmp_path_factory.mktemp("made") / "jina-v3-hf")


@pytest.fixture
def spoiled(published: Path, tmp_path: Path) -> Path:
    return tiny.copied(published, tmp_path / "spoiled")


@pytest.fixture
def spoiled_native(native: Path, tmp_path: Path) -> Path:
    return tiny.copied(native, tmp_path / "spoiled")


def due(folder: Path, route: str, texts: list[str], dtype: str = "float32") -> np.ndarray:
    """Unit vectors float64 [n, dim] by the formulas, from the file in Jina's layout."""
    import torch

    config, state = json.loads((folder / "config.json").read_text()), rounded(folder, dtype)
    adapter = tiny_rotary.ADAPTERS.index(route) if route else None
    rows = [
        formulas.rotary_xlm_roberta(state, config, torch.tensor(ids), adapter).mean(0)
        for ids in token_ids(folder, texts, LIMIT)
    ]
    found = torch.stack(rows).numpy()
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def encoded(folder: Path, cache: Path, route: str, **options: Any) -> np.ndarray:
    model = tiny.load(folder, cache, **options)
    assert isinstance(model, BiEncoder)
    return model.encode(Texts(TEXTS, route=route))


def no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, or where torch has no oneDNN: padded batches."""
    monkeypatch.setattr("harness.models.rotary.kernels", lambda dtype: False)


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("way", ["packed", "padded"])
@pytest.mark.parametrize("route", ROUTES)
def test_every_adapter_equals_the_formulas(
    route: str, way: str, dtype: str, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "padded":
        no_kernels(monkeypatch)
    expected = due(published, route, TEXTS, dtype)
    assert max(len(ids) for ids in token_ids(published, TEXTS, LIMIT)) == LIMIT, "no text is long enough"
    others = [due(published, other, TEXTS) for other in ROUTES if other != route]
    assert min(np.abs(expected - other).max() for other in others) > 0.05, "adapters must differ by more"
    for budget in (40, 4096):
        found = encoded(published, tmp_path, route, dtype=dtype, batch_tokens=budget)
        np.testing.assert_allclose(found, expected, rtol=0, atol=NEAR[dtype])


@pytest.mark.parametrize("names", ["transformers", "jina"])
def test_both_layouts_give_the_same(names: str, published: Path, tmp_path: Path) -> None:
    folder = tiny_rotary.native(published, tmp_path / "hf", names=names)
    for route in ROUTES:
        np.testing.assert_allclose(
            encoded(folder, tmp_path, re.sub("[.-]", "_", route)),
            due(published, route, TEXTS),
            rtol=0,
            atol=1e-5,
        )
    both = [encoded(folder, tmp_path, route) for route in ("text-matching", "text_matching")]
    np.testing.assert_array_equal(*both)


def test_the_base_equals_transformers_own_network(native: Path, tmp_path: Path) -> None:
    import torch
    from transformers import JinaEmbeddingsV3Model

    network = JinaEmbeddingsV3Model.from_pretrained(native, dtype=torch.float32).eval()
    rows = []
    for ids in token_ids(native, TEXTS, LIMIT):
        with torch.inference_mode():
            rows.append(network(torch.tensor([ids])).last_hidden_state[0].mean(0).numpy())
    expected = np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(encoded(native, tmp_path, ""), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [{"rotary_emb_base": 20000.0}, {"lora_alpha": 1}, {"layer_norm_eps": 1e-2}, {"num_attention_heads": 2}],
)
def test_every_setting_is_followed(change: dict[str, Any], spoiled: Path, tmp_path: Path) -> None:
    before = due(spoiled, "separation", TEXTS)
    tiny.change(spoiled / "config.json", **change)
    expected = due(spoiled, "separation", TEXTS)
    assert np.abs(before - expected).max() > 1e-3
    np.testing.assert_allclose(encoded(spoiled, tmp_path, "separation"), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", NEAR)
def test_bits_do_not_depend_on_what_is_encoded_beside(dtype: str, published: Path, tmp_path: Path) -> None:
    """Not on the texts of a batch, their number, nor on other adapters in the same call."""
    texts = [f"{'the red planet mars is a moon ' * (i % 5)}{'abc'[i % 3]}" for i in range(40)]
    whole = tiny.load(published, tmp_path, dtype=dtype)
    assert isinstance(whole, Dense)
    alone = {route: whole.encode(Texts(texts, route=route)) for route in ROUTES[:3]}
    for budget in (64, 4096):
        model = tiny.load(published, tmp_path, dtype=dtype, batch_tokens=budget)
        assert isinstance(model, Dense)
        for route, rows in alone.items():
            np.testing.assert_array_equal(model.encode(Texts(texts[::-1], route=route)), rows[::-1])
            np.testing.assert_array_equal(model.encode(Texts([texts[29]], route=route)), rows[[29]])
        mixed = model.prepare([Texts(texts, route=route) for route in alone])
        order = np.random.default_rng(5).permutation(3 * len(texts))
        np.testing.assert_array_equal(model.answer(mixed, order), np.concatenate([*alone.values()])[order])


def test_an_adapter_is_summed_once(published: Path, tmp_path: Path) -> None:
    model = tiny.load(published, tmp_path)
    assert isinstance(model, Dense)
    model.encode(Texts(TEXTS, route="separation"))
    assert model._opened is not None
    network = model._opened[0].model
    layers = network.under("separation")._layers
    model.encode(Texts(TEXTS, route="separation"))
    assert network.under("separation")._layers is layers
    assert "_layers" not in vars(network), "the base was not asked for"


def test_adapters_give_way_to_one_another_where_memory_is_short(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.models import rotary

    def run(free: int) -> tuple[np.ndarray, set[str]]:
        monkeypatch.setattr(rotary, "free", lambda device: free)
        model = tiny.load(published, tmp_path)
        assert isinstance(model, Dense)
        rows = np.concatenate([model.encode(Texts(TEXTS, route=route)) for route in (*ROUTES, ROUTES[1])])
        assert model._opened is not None
        kept = model._opened[0].model._under
        return rows, {route for route, network in kept.items() if "_layers" in vars(network)}

    plenty, short = run(1 << 40), run(0)
    np.testing.assert_array_equal(plenty[0], short[0])
    assert plenty[1] == set(ROUTES)
    assert short[1] == {ROUTES[1]}, "the one asked for last"


def test_a_catalog_row_names_adapters_of_both_layouts(published: Path, native: Path, tmp_path: Path) -> None:
    for folder in (published, native):
        copy = tiny.copied(folder, tmp_path / folder.name)
        tiny.change(copy / "config.json", max_position_embeddings=8194)
        tiny.change(copy / "tokenizer_config.json", model_max_length=8194)
        model = listed(copy, tmp_path, "{query: retrieval.query, sentence: text-matching}")
        assert model.card.routes == {"query": "retrieval.query", "sentence": "text-matching"}
        assert (model.card.max_length, model.card.dim, model.card.normalized) == (8192, made.H, True)
        assert model.card.adapter == "rotary@1"
        found = model.encode(Texts(["the red planet " * 2800, "mars"], route="text-matching"))
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
        short = listed(copy, tmp_path, "{sentence: text-matching}", dim=8)
        cut = short.encode(Texts(["mars"], route="text-matching"))
        first = found[1:, :8]
        np.testing.assert_allclose(cut, first / np.linalg.norm(first, axis=1, keepdims=True), atol=1e-6)
        assert short.card.variant == ("dim8",)


def test_the_row_of_the_catalog_names_what_is_published(published: Path, tmp_path: Path) -> None:
    row = load_catalog().rows["jina-v3"]
    assert {*row.routes.values()} - {""} == {*tiny_rotary.ADAPTERS}
    with pytest.raises(ModelError, match="vectors of length 32; the catalog says 1024"):
        load_model("jina-v3", weights=published, cache=tmp_path, device="cpu", offline=True)


def test_adapters_have_keys_of_their_own() -> None:
    keys = [text_keys(Texts(["mars"], route=route)).tobytes() for route in ROUTES]
    assert len(set(keys)) == len(ROUTES)


def test_an_unknown_adapter(published: Path, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"(?s)adapter 'retrieval\.qeury'.*retrieval\.query"):
        encoded(published, tmp_path, "retrieval.qeury")
    with pytest.raises(ModelError, match="has no adapters; 'separation' was asked for"):
        encoded(plain, tmp_path, "separation")
    for folder, message in ((published, "adapter 'seperation'"), (plain, "has no adapters")):
        with pytest.raises((ModelError, UnknownNameError), match=message):
            listed(folder, tmp_path, "{sentence: seperation}")


def test_off_the_catalog_no_adapter_is_guessed(published: Path, tmp_path: Path) -> None:
    card = tiny.load(published, tmp_path).card
    assert card.routes == {}
    assert card.max_length == LIMIT
    assert any("none of its adapters is used: retrieval.query, retrieval.passage" in n for n in card.notes)


def test_what_is_missing_left_over_or_of_another_shape(spoiled: Path, tmp_path: Path) -> None:
    import torch

    state = tiny.tensors(spoiled)
    name = f"{WQKV}.0.lora_A"
    bare = name.removeprefix("roberta.")
    cases = [
        ({k: v for k, v in state.items() if k != name}, rf"1 missing: {re.escape(bare)}"),
        ({k: v for k, v in state.items() if k != f"{WQKV}.original"}, r"1 missing: .*Wqkv.*\.original"),
        ({**state, "roberta.encoder.layers.0.mlp.fc3.bias": torch.ones(2)}, r"1 unexpected: .*fc3\.bias"),
        ({**state, name: state[name][:4]}, r"1 of another shape: .*lora_A \[4, 4, 32\], not \[5, 4, 32\]"),
        ({**state, name: torch.full_like(state[name], float("nan"))}, "holds NaN or infinity"),
        ({**state, bare: state[name].clone()}, "is stored a second time"),
    ]  # fmt: skip
    for changed, message in cases:
        tiny.store(spoiled, changed)
        with pytest.raises(ModelError, match=message):
            encoded(spoiled, tmp_path, "separation")
    tiny.store(spoiled, {k: v for k, v in state.items() if "pooler" not in k})
    assert np.isfinite(encoded(spoiled, tmp_path, "separation")).all()


def test_a_folder_of_an_adapter_is_read_strictly(spoiled_native: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = spoiled_native / "separation/adapter_model.safetensors"
    state = load_file(path)
    name = "base_model.model.layers.2.self_attn.k_proj.lora_B.weight"
    cases = [
        ({k: v for k, v in state.items() if k != name}, r"1 missing: separation/layers\.2.*k_proj\.lora_B"),
        ({**state, f"{name[:-7]}.extra": state[name].clone()}, r"1 unexpected: separation/layers\.2.*extra"),
        ({**state, name: state[name][:, :2].contiguous()}, r"1 of another shape: .*\[32, 2\], not \[32, 4\]"),
    ]
    for changed, message in cases:
        save_file(changed, path)
        with pytest.raises(ModelError, match=message):
            encoded(spoiled_native, tmp_path, "classification")
    save_file(state, path)
    config = spoiled_native / "separation/adapter_config.json"
    for change, message in (
        ({"use_dora": True}, "use_dora is True, which this program does not apply"),
        ({"use_dora": False, "peft_type": "LOHA"}, "peft_type 'LOHA' cannot be loaded"),
        ({"peft_type": "LORA", "r": 0}, "two numbers are needed"),
        ({"r": 4, "target_modules": ["nothing"]}, "names no module of this network"),
    ):
        tiny.change(config, **change)
        with pytest.raises(ModelError, match=message):
            encoded(spoiled_native, tmp_path, "classification")
    path.unlink()
    with pytest.raises(ModelError, match=r"adapter_config\.json and no adapter_model\.safetensors"):
        tiny.load(spoiled_native, tmp_path)


def test_a_network_without_adapters(spoiled: Path, published: Path, tmp_path: Path) -> None:
    """As other models of this code base are stored, and a fine-tune whose adapters were merged."""
    state = {
        name.replace("parametrizations.weight.original", "weight"): tensor
        for name, tensor in tiny.tensors(spoiled).items()
        if ".lora_" not in name
    }
    tiny.store(spoiled, state)
    tiny.change(spoiled / "config.json", lora_adaptations=None, lora_rank=None)
    np.testing.assert_allclose(encoded(spoiled, tmp_path, ""), due(published, "", TEXTS), rtol=0, atol=1e-5)
    with pytest.raises(ModelError, match="has no adapters"):
        encoded(spoiled, tmp_path, "separation")


def test_float16_and_what_it_cannot_hold(spoiled: Path, published: Path, tmp_path: Path) -> None:
    found = encoded(published, tmp_path, "separation", dtype="float16")
    np.testing.assert_allclose(found, due(published, "separation", TEXTS), rtol=0, atol=2e-3)
    state = tiny.tensors(spoiled)
    tiny.store(spoiled, {**state, f"{WQKV}.0.lora_B": state[f"{WQKV}.0.lora_B"] * 1e6})
    assert np.isfinite(encoded(spoiled, tmp_path, "", dtype="float16")).all()
    with pytest.raises(ModelError, match=r"self_attn\.q_proj\.weight' holds NaN or infinity"):
        encoded(spoiled, tmp_path, "separation", dtype="float16")


def test_the_fingerprint_covers_the_adapters(spoiled_native: Path, native: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = spoiled_native / "separation/adapter_model.safetensors"
    state = load_file(path)
    save_file({k: v * 2 for k, v in state.items()}, path)
    cards = [tiny.load(folder, tmp_path).card for folder in (native, spoiled_native)]
    assert cards[0].fingerprint != cards[1].fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rotary_emb_base": None}, "with base None"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 300.0}}, "of type 'yarn'"),
        ({"hidden_act": "relu"}, "hidden_act 'relu' cannot be loaded"),
        ({"lora_rank": None}, "lora_rank None"),
        ({"lora_adaptations": ["a", "a"]}, "is no list of distinct names"),
        ({"num_attention_heads": 3}, "does not divide"),
        ({"vocab_size": None}, "vocab_size is None"),
    ],
)
def test_a_config_of_another_network(
    change: dict[str, Any], message: str, spoiled: Path, tmp_path: Path
) -> None:
    tiny.change(spoiled / "config.json", **change)
    with pytest.raises(ModelError, match=message):
        encoded(spoiled, tmp_path, "")


def listed(folder: Path, tmp_path: Path, routes: str, **options: Any) -> BiEncoder:
    """The model of a row in a catalog of one's own."""
    catalog = tmp_path / "mine.yaml"
    catalog.write_text(
        "models:\n  mine:\n    display: me/mine\n    kind: bi-encoder\n    adapter: dense\n"
        f"    path: {folder}\n    routes: {routes}\n",
        encoding="utf-8",
    )
    model = load_model("mine", catalog=catalog, cache=tmp_path, device="cpu", offline=True, **options)
    assert isinstance(model, BiEncoder)
    return model
