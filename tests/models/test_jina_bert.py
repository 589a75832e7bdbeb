"""JinaBERT against the published formulas in float64 numpy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import ModelError
from harness.models import dense, load_model
from harness.models.checkpoint import read_checkpoint
from harness.types import Pairs, Texts
from tests.models import tiny, tiny_jina

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TEXTS = [
    "The red planet is known",
    "",
    "你好",
    "東京 天气 is the sun, 你好 世界!",
    "Moon",
    "the sun",
    "red moon",
    "planet sun moon " * 23,
    "Ünïcödé １２３ the",
    "sun " * 71,
]
SHAPES = [("EN", 4), ("EN", 12), ("CODE", 4), ("CODE", 12)]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Path]:
    root = tmp_path_factory.mktemp("jina")
    made = {}
    for layout, heads in SHAPES:
        hidden = {4: 64, 12: 96}[heads]
        made[layout, heads] = tiny_jina.checkpoint(
            root / f"{layout}{heads}", layout=layout, heads=heads, hidden=hidden
        )
    return made


@pytest.fixture
def spoiled(folders: dict[tuple[str, int], Path], tmp_path: Path) -> Path:
    return tiny.copied(folders["EN", 4], tmp_path / "spoiled")


def due_vectors(folder: Path, texts: list[str]) -> np.ndarray:
    return tiny_jina.reference(folder, [tiny_jina.token_ids(folder, text) for text in texts])[1]


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How batches are made; "padded" as on a machine whose torch has no oneDNN."""
    if request.param == "padded":
        monkeypatch.setattr("harness.models.jina_bert.kernels", lambda dtype: False)
    return str(request.param)


@pytest.mark.parametrize("heads", [1, 2, 4, 6, 8, 12])
def test_slopes(heads: int) -> None:
    from harness.models.alibi import slopes

    np.testing.assert_allclose(slopes(heads), tiny_jina.slopes_by_hand(heads), rtol=1e-15)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("way", ["packed", "padded"], indirect=True)
@pytest.mark.parametrize("shape", SHAPES)
def test_vectors_equal_the_reference(
    shape: tuple[str, int], folders: dict[tuple[str, int], Path], tmp_path: Path
) -> None:
    folder = folders[shape]
    due = due_vectors(folder, TEXTS)
    assert len(np.unique(due.round(3), axis=0)) == len(TEXTS)
    for budget in (40, 4096):
        found = tiny.load(folder, tmp_path, batch_tokens=budget).encode(Texts(TEXTS))
        np.testing.assert_allclose(found, due, atol=1e-5)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("way", "dtype"),
    [("packed", "bfloat16"), ("padded", "bfloat16"), ("padded", "float16")],
    indirect=["way"],
)
@pytest.mark.parametrize("shape", [("EN", 12), ("CODE", 12)])
def test_half_precision_is_near(
    shape: tuple[str, int], dtype: str, folders: dict[tuple[str, int], Path], tmp_path: Path
) -> None:
    model = tiny.load(folders[shape], tmp_path, dtype=dtype)
    found, due = model.encode(Texts(TEXTS)), due_vectors(folders[shape], TEXTS)
    off = abs(unit(found) - unit(due)).max()
    assert 1e-6 < off < {"bfloat16": 5e-3, "float16": 1e-3}[dtype]


def test_prefix_of_the_base_model(tmp_path: Path) -> None:
    bare = tiny_jina.checkpoint(tmp_path / "a")
    behind = tiny_jina.checkpoint(tmp_path / "b", prefix="bert.")
    np.testing.assert_array_equal(
        tiny.load(bare, tmp_path).encode(Texts(TEXTS)), tiny.load(behind, tmp_path).encode(Texts(TEXTS))
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", ["EN", "CODE"])
def test_bits_do_not_depend_on_the_batch(layout: str, dtype: str, tmp_path: Path) -> None:
    """At a size at which oneDNN's bfloat16 kernels divide the work by the number of rows."""
    folder = tiny_jina.checkpoint(
        tmp_path / "wide", layout=layout, heads=12, hidden=384, inner=1536, layers=1
    )
    model = tiny.load(folder, tmp_path, dtype=dtype)
    whole = model.encode(Texts(TEXTS))
    for budget in (60, 300):
        parts = tiny.load(folder, tmp_path, dtype=dtype, batch_tokens=budget)
        np.testing.assert_array_equal(parts.encode(Texts(TEXTS)), whole)
    np.testing.assert_array_equal(model.encode(Texts(TEXTS[3:4])), whole[3:4])


class Largest:
    """The largest tensor that any operation made, in numbers."""

    def __enter__(self) -> Largest:
        from torch.utils._python_dispatch import TorchDispatchMode

        outer, self.numbers = self, 0

        class Watch(TorchDispatchMode):
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                made = func(*args, **(kwargs or {}))
                for tensor in made if isinstance(made, (tuple, list)) else (made,):
                    if hasattr(tensor, "untyped_storage"):
                        size = tensor.untyped_storage().nbytes() // tensor.element_size()
                        outer.numbers = max(outer.numbers, size)
                return made

        self._watch = Watch()
        self._watch.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._watch.__exit__(*error)


@pytest.mark.parametrize("layout", ["EN", "CODE"])
def test_a_long_text_beside_short_ones(layout: str, tmp_path: Path) -> None:
    folder = tiny_jina.checkpoint(tmp_path / "m", layout=layout, heads=4, hidden=32, layers=1)
    texts = ["red sun", "the moon " * 999, "你好"]
    model = tiny.load(folder, tmp_path)
    model.encode(Texts(["a"]))
    with Largest() as seen:
        found = model.encode(Texts(texts))
    width = len(tiny_jina.token_ids(folder, texts[1]))
    assert width == 2000
    assert seen.numbers < 4 * width**2 / 10, "the bias of all heads is never built"
    np.testing.assert_allclose(found, due_vectors(folder, texts), atol=1e-5)


@pytest.mark.parametrize("limit", [1, 5000, 100_000])
def test_pieces_of_a_padded_batch(
    limit: int, folders: dict[tuple[str, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However small the bias that may be built at once: some texts, some queries, or one of each."""
    import torch

    from harness.models.jina_bert import Network
    from harness.models.jina_tensors import read_tensors

    folder = folders["EN", 4]
    ids = [tiny_jina.token_ids(folder, text) for text in TEXTS]
    width = max(map(len, ids))
    padded = torch.tensor([row + [1] * (width - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
    sizes, tensors = read_tensors(read_checkpoint(folder))
    with torch.inference_mode():
        whole = Network(sizes, tensors, None).forward(padded, mask).last_hidden_state
        with Largest() as seen:
            parts = Network(sizes, tensors, None, limit).forward(padded, mask).last_hidden_state
    assert 4 * width**2 * len(ids) > 100_000
    assert seen.numbers < max(1.1 * limit, len(ids) * width * 3 * 64 + 1)
    due = tiny_jina.reference(folder, ids)[0]
    for found in (whole, parts):
        assert torch.isfinite(found).all()
        np.testing.assert_allclose(found[mask == 1], due[mask.numpy() == 1], atol=1e-5)


def test_card(folders: dict[tuple[str, int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = tiny.load(folders["EN", 4], tmp_path).card
    assert (card.adapter, card.kind, card.dim, card.max_length) == ("jina_bert@1", "bi-encoder", 64, 8192)
    assert (card.pooling, card.normalized, card.dtype, card.variant) == ("mean", False, "float32", ())
    monkeypatch.setattr(dense, "NATIVE", 2)
    assert tiny.load(folders["EN", 4], tmp_path).card.fingerprint != card.fingerprint


def test_unit_length_where_modules_say_so(tmp_path: Path) -> None:
    folder = tiny_jina.checkpoint(tmp_path / "m", normalize=True)
    model = tiny.load(folder, tmp_path)
    assert model.card.normalized
    np.testing.assert_allclose(model.encode(Texts(TEXTS)), unit(due_vectors(folder, TEXTS)), atol=1e-6)


def test_without_modules_the_mean_is_taken(spoiled: Path, tmp_path: Path) -> None:
    for name in ("modules.json", "sentence_bert_config.json", "1_Pooling/config.json"):
        (spoiled / name).unlink()
    model = tiny.load(spoiled, tmp_path)
    assert (model.card.pooling, model.card.max_length) == ("mean", 8192)
    np.testing.assert_allclose(model.encode(Texts(TEXTS)), due_vectors(spoiled, TEXTS), atol=1e-5)


def test_max_length(spoiled: Path, tmp_path: Path) -> None:
    ids = tiny_jina.token_ids(spoiled, TEXTS[-1])
    found = tiny.load(spoiled, tmp_path, max_length=9).encode(Texts(TEXTS[-1:]))
    due = tiny_jina.reference(spoiled, [[*ids[:8], ids[-1]]])[1]
    np.testing.assert_allclose(found, due, atol=1e-5)


def test_chinese_survives_the_declared_tokenizer_class(spoiled: Path, tmp_path: Path) -> None:
    """RobertaTokenizer would be rebuilt over bytes, of which this vocabulary has none."""
    first, word, last = tiny_jina.token_ids(spoiled, "你好")
    assert (first, last) == (0, 2)
    model = tiny.load(spoiled, tmp_path)
    assert isinstance(model, dense.Dense)
    assert model.prepare([Texts(["你好"])]).ids.tolist() == [0, word, 2]


def test_word_pieces_of_the_english_models(tmp_path: Path) -> None:
    folder = tiny_jina.checkpoint(tmp_path / "m", heads=8, word_pieces=True)
    found = tiny.load(folder, tmp_path, max_length=8192).encode(Texts(tiny.TEXTS))
    np.testing.assert_allclose(found, due_vectors(folder, tiny.TEXTS), atol=1e-5)


def test_shards_in_a_folder_of_their_own(spoiled: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    due = due_vectors(spoiled, TEXTS)
    state, inner = list(tiny.tensors(spoiled).items()), spoiled / "0_Transformer"
    (spoiled / "model.safetensors").unlink()
    inner.mkdir()
    for path in [*spoiled.glob("*.json"), *spoiled.glob("*.txt")]:
        if path.name != "modules.json":
            path.rename(inner / path.name)
    parts = {"model-00001-of-00002.safetensors": state[:9], "model-00002-of-00002.safetensors": state[9:]}
    for name, part in parts.items():
        save_file(dict(part), inner / name, metadata={"format": "pt"})
    index = {key: name for name, part in parts.items() for key, _ in part}
    tiny.put(inner / "model.safetensors.index.json", {"metadata": {}, "weight_map": index})
    text = (spoiled / "modules.json").read_text().replace('"path": ""', '"path": "0_Transformer"')
    (spoiled / "modules.json").write_text(text)
    np.testing.assert_allclose(tiny.load(spoiled, tmp_path).encode(Texts(TEXTS)), due, atol=1e-5)


def test_stored_half_precision(spoiled: Path, tmp_path: Path) -> None:
    import torch

    tiny.store(spoiled, {name: t.to(torch.float16) for name, t in tiny.tensors(spoiled).items()})
    found = tiny.load(spoiled, tmp_path).encode(Texts(TEXTS))
    np.testing.assert_allclose(found, due_vectors(spoiled, TEXTS), atol=1e-5)


def test_its_own_code_is_never_imported(
    spoiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    for name in ("configuration_bert", "modeling_bert"):
        (spoiled / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit\n")
    code = {"AutoConfig": "configuration_bert.JinaBertConfig", "AutoModel": "modeling_bert.JinaBertModel"}
    tiny.change(spoiled / "config.json", auto_map=code)
    before = set(sys.modules)
    found = tiny.load(spoiled, tmp_path).encode(Texts(TEXTS))
    np.testing.assert_allclose(found, due_vectors(spoiled, TEXTS), atol=1e-5)
    assert not (tmp_path / "ran").exists()
    assert not [name for name in set(sys.modules) - before if name.startswith("transformers_modules")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position_embedding_type": "absolute"}, "position_embedding_type 'absolute' cannot be loaded"),
        ({"feed_forward_type": "reglu"}, "feed_forward_type 'reglu' cannot be loaded, only with 'geglu'"),
        ({"feed_forward_type": "original"}, "feed_forward_type 'original'"),
        ({"hidden_act": "relu"}, "hidden_act 'relu'"),
        ({"num_attention_heads": 5}, "num_attention_heads 5 does not divide hidden_size 64"),
        ({"intermediate_size": None}, "intermediate_size is None"),
        ({"auto_map": {"AutoModel": "jinaai/jina-bert-v2-qk-post-norm--m.X"}}, "layout EN; .* says CODE"),
        ({"intermediate_size": 20}, r"of another shape: encoder\.layer\.0\.mlp\.gated_layers\.weight"),
        ({"num_hidden_layers": 1}, r"15 unexpected: encoder\.layer\.1\."),
        ({"num_hidden_layers": 3}, r"15 missing: encoder\.layer\.2\."),
    ],
)
def test_other_networks_are_refused(
    spoiled: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    tiny.change(spoiled / "config.json", **changes)
    with pytest.raises(ModelError, match=message):
        tiny.load(spoiled, tmp_path).encode(Texts(["a"]))


def test_a_classifier_on_it_is_refused(spoiled: Path, tmp_path: Path) -> None:
    (spoiled / "modules.json").unlink()
    tiny.change(spoiled / "config.json", architectures=["JinaBertForSequenceClassification"], num_labels=1)
    with pytest.raises(ModelError, match="JinaBERT with a classifier on it cannot be loaded"):
        tiny.load(spoiled, tmp_path).score(Pairs(["a"], ["b"]))


def test_tensors_that_do_not_fit(spoiled: Path, tmp_path: Path) -> None:
    import torch

    good = tiny.tensors(spoiled)

    def refused(message: str, **changes: Any) -> None:
        state = {**good, **{name.replace("__", "."): tensor for name, tensor in changes.items()}}
        tiny.store(spoiled, {name: tensor for name, tensor in state.items() if tensor is not None})
        with pytest.raises(ModelError, match=message):
            tiny.load(spoiled, tmp_path).encode(Texts(["a"]))

    at = "encoder__layer__1__mlp__"
    refused(r"JinaBERT: tensors 1 missing: encoder\.layer\.1\.mlp\.wo\.bias", **{f"{at}wo__bias": None})
    refused(r"1 unexpected: encoder\.layer\.1\.mlp\.w\.bias", **{f"{at}w__bias": torch.ones(3)})
    refused(r"mlp\.layernorm\.bias \[8\], not \[64\]", **{f"{at}layernorm__bias": torch.ones(8)})
    refused(r"mlp\.wo\.bias' holds NaN", **{f"{at}wo__bias": torch.full((64,), float("nan"))})
    refused("layout CODE and EN", **{f"{at}up_gated_layer__weight": torch.ones(80, 64)})
    refused(r"with and without the prefix", bert__embeddings__LayerNorm__bias=torch.ones(64))
    tiny.store(spoiled, {name: t for name, t in good.items() if not name.startswith("pooler.")})
    tiny.load(spoiled, tmp_path).encode(Texts(["a"]))
    raw = (spoiled / "model.safetensors").read_bytes()
    (spoiled / "model.safetensors").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ModelError, match=r"model\.safetensors: its weights cannot be read"):
        tiny.load(spoiled, tmp_path).encode(Texts(["a"]))


def test_a_row_of_jina_bert_wants_jina_bert(bi: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not JinaBERT's, which jinaai/jina-embeddings-v2-base-zh is"):
        load_model("jina-v2-base-zh", weights=bi, cache=tmp_path, device="cpu")
