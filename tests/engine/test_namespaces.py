"""Whatever changes a vector changes its namespace or its key: no model ever meets a stale vector."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.engine.encode import embed, score_pairs
from harness.engine.vectors import VectorStore, open_vectors, pair_keys, text_keys
from harness.models import card as card_module
from harness.models.base import ModelCard
from harness.models.fake import FakeEncoder
from harness.types import Pairs, Texts
from tests.models import tiny

TEXTS = Texts(["the red planet mars", "moon of venus", "big ring"])
PAIRS = Pairs(["the red planet", "moon"], ["mars", "venus"])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bi_encoder(tmp_path_factory.mktemp("checkpoint") / "m")


@pytest.fixture
def folder(checkpoint: Path, tmp_path: Path) -> Path:
    return tiny.copied(checkpoint, tmp_path / "m")


def store_of(card: ModelCard, cache: Path) -> VectorStore:
    return open_vectors(card, cache, False, pytest.fail)


def encode(model: Any, cache: Path, texts: Texts = TEXTS) -> np.ndarray:
    return embed(model, [texts], store_of(model.card, cache))[0].gather()


def meets(card: ModelCard, cache: Path, texts: Texts = TEXTS) -> bool:
    """Whether a run with this card would take any of the texts from the store."""
    return bool(store_of(card, cache).present(text_keys(texts)).any())


def one_byte(folder: Path) -> None:
    path = folder / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 0x10
    path.write_bytes(raw)


def upper_case(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["normalizer"]["lowercase"] = False
    tiny.put(folder / "tokenizer.json", content)
    tiny.change(folder / "tokenizer_config.json", do_lower_case=False)


def no_normalising(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    tiny.put(folder / "modules.json", modules[:2])


FILES: dict[str, Callable[[Path], None]] = {
    "one bit of a weight": one_byte,
    "tokenizer": upper_case,
    "pooling": lambda f: tiny.put(f / "1_Pooling/config.json", {"pooling_mode": "cls"}),
    "normalisation": no_normalising,
    "max length of the checkpoint": lambda f: tiny.change(f / "sentence_bert_config.json", max_seq_length=5),
    "config": lambda f: tiny.change(f / "config.json", layer_norm_eps=1e-3),
}
OPTIONS = {
    "dtype": {"dtype": "bfloat16"},
    "max length": {"max_length": 4},
    "dim": {"dim": 8},
}


def test_the_same_model_meets_its_vectors(folder: Path, tmp_path: Path) -> None:
    kept = encode(tiny.load(folder, tmp_path), tmp_path)
    again = tiny.load(folder, tmp_path)
    assert meets(again.card, tmp_path)
    again.encode = pytest.fail  # type: ignore[method-assign, union-attr]
    np.testing.assert_array_equal(encode(again, tmp_path), kept)


@pytest.mark.parametrize("what", FILES)
def test_a_changed_file_is_another_namespace(what: str, folder: Path, tmp_path: Path) -> None:
    model = tiny.load(folder, tmp_path)
    stale = encode(model, tmp_path)
    FILES[what](folder)
    changed = tiny.load(folder, tmp_path)
    assert changed.card.fingerprint != model.card.fingerprint
    assert not meets(changed.card, tmp_path)
    fresh = encode(changed, tmp_path)
    np.testing.assert_allclose(fresh, tiny.load(folder, tmp_path).encode(TEXTS), atol=1e-6)
    if what != "config":
        assert fresh.shape == stale.shape
    assert len(list((tmp_path / "vectors").iterdir())) == 2


@pytest.mark.parametrize("what", OPTIONS)
def test_a_changed_option_is_another_namespace(what: str, folder: Path, tmp_path: Path) -> None:
    model = tiny.load(folder, tmp_path)
    stale = encode(model, tmp_path)
    changed = tiny.load(folder, tmp_path, **OPTIONS[what])
    assert changed.card.fingerprint != model.card.fingerprint
    assert not meets(changed.card, tmp_path)
    fresh = encode(changed, tmp_path)
    assert fresh.shape != stale.shape or not np.array_equal(fresh, stale), "the option does something"
    np.testing.assert_array_equal(encode(model, tmp_path), stale)


def test_in_half_precision_devices_have_namespaces_of_their_own(folder: Path, tmp_path: Path) -> None:
    prints = {
        (device, dtype): tiny.load(folder, tmp_path, device=device, dtype=dtype).card.fingerprint
        for device in ("cpu", "cuda", "cuda:1")
        for dtype in ("float32", "bfloat16")
    }
    assert len({prints[device, "float32"] for device in ("cpu", "cuda", "cuda:1")}) == 1
    assert prints["cpu", "bfloat16"] != prints["cuda", "bfloat16"] == prints["cuda:1", "bfloat16"]


def test_another_backend_is_another_namespace(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.load(folder, tmp_path)
    encode(model, tmp_path)
    fingerprint = card_module.checkpoint_fingerprint

    def other(checkpoint: Any, settings: dict[str, Any], *rest: Any) -> str:
        assert settings["backend"] == "torch"
        return fingerprint(checkpoint, {**settings, "backend": "another"}, *rest)

    monkeypatch.setattr(card_module, "checkpoint_fingerprint", other)
    changed = tiny.load(folder, tmp_path)
    assert changed.card.fingerprint != model.card.fingerprint
    assert not meets(changed.card, tmp_path)


def test_another_adapter_version_is_another_namespace(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode(tiny.load(folder, tmp_path), tmp_path)
    monkeypatch.setattr("harness.models.dense.VERSION", 10_000)
    assert not meets(tiny.load(folder, tmp_path).card, tmp_path)


class Counting(FakeEncoder):
    """Remembers what it was asked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked: list[str] = []

    def encode(self, texts: Texts) -> np.ndarray:
        self.asked.extend(texts.items)
        return super().encode(texts)


@pytest.mark.parametrize(
    "changed",
    [
        Texts(["query: mars"], prompt="query: "),
        Texts(["query: mars"], prompt="query:"),
        Texts(["query: mars"], route="retrieval.query"),
        Texts(["query: mars "]),
        Texts(["query: Mars"]),
        Texts(["query: ｍars"]),
    ],
)
def test_a_changed_prompt_route_or_text_is_another_key(tmp_path: Path, changed: Texts) -> None:
    model = Counting()
    before = Texts(["query: mars"])
    encode(model, tmp_path, before)
    assert text_keys(changed)[0] != text_keys(before)[0]
    assert not meets(model.card, tmp_path, changed)
    encode(model, tmp_path, changed)
    assert model.asked == [*before.items, *changed.items]


def test_a_text_is_the_same_in_every_role(tmp_path: Path) -> None:
    model = Counting()
    for role in ("query", "document", "sentence"):
        encode(model, tmp_path, Texts(["mars"], role=role))
    assert model.asked == ["mars"]


def test_pairs_keep_sides_and_route_apart(folder: Path, tmp_path: Path) -> None:
    swapped = Pairs(PAIRS.right, PAIRS.left)
    routed = Pairs(PAIRS.left, PAIRS.right, route="r")
    joined = [pair_keys(pairs).tolist() for pairs in (PAIRS, swapped, routed)]
    assert len({key for keys in joined for key in keys}) == 6


@pytest.mark.parametrize("change", [{"max_length": 6}, {"dtype": "bfloat16"}, "one bit of a weight"])
def test_pair_scores_are_kept_by_the_same_rules(tmp_path: Path, change: Any) -> None:
    folder = tiny.cross_encoder(tmp_path / "c")
    model = tiny.load(folder, tmp_path)
    store = store_of(model.card, tmp_path)
    score_pairs(model, [PAIRS], store)  # type: ignore[arg-type]
    assert store.folder is not None
    assert store.folder.parent == tmp_path / "pairs"
    assert store_of(model.card, tmp_path).present(pair_keys(PAIRS)).all()
    if isinstance(change, str):
        FILES[change](folder)
    changed = tiny.load(folder, tmp_path, **(change if isinstance(change, dict) else {}))
    assert not store_of(changed.card, tmp_path).present(pair_keys(PAIRS)).any()


def test_vectors_and_pair_scores_never_share_a_folder(tmp_path: Path) -> None:
    cards = [ModelCard("m", kind=kind, fingerprint="same") for kind in ("bi-encoder", "cross-encoder")]
    folders: Sequence[Path | None] = [store_of(card, tmp_path).folder for card in cards]
    assert folders == [tmp_path / "vectors/same", tmp_path / "pairs/same"]


def test_devices_share_a_namespace(folder: Path, tmp_path: Path) -> None:
    # Their float32 vectors differ by rounding alone, as those of two processors do; results name the device.
    cards = [tiny.load(folder, tmp_path, device=device).card for device in ("cpu", "cuda", "mps", "auto")]
    assert len({card.fingerprint for card in cards}) == 1


def test_batch_tokens_share_a_namespace(folder: Path, tmp_path: Path) -> None:
    cards = [tiny.load(folder, tmp_path, batch_tokens=tokens).card for tokens in (None, 64, 4096)]
    assert len({card.fingerprint for card in cards}) == 1


def test_without_a_fingerprint_or_with_no_cache_nothing_is_kept(tmp_path: Path) -> None:
    assert store_of(ModelCard("m"), tmp_path).folder is None
    assert open_vectors(ModelCard("m", fingerprint="f00d"), tmp_path, True, pytest.fail).folder is None
