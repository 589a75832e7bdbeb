"""Quantised vectors: against plain numpy and sentence-transformers' bits, through models and their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import ConfigError, UnknownNameError
from harness.models import load_model
from harness.models.quantise import quantised
from harness.types import Texts
from tests.models import tiny

ROWS = np.random.default_rng(3).normal(size=(50, 24)).astype(np.float32)


def by_hand(row: np.ndarray) -> list[float]:
    top = max(abs(float(x)) for x in row)
    return [round(float(x) * 127 / top) * top / 127 for x in row]


def test_int8_is_the_nearest_of_255_steps_of_each_vector() -> None:
    found = quantised(ROWS, "int8")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [by_hand(row) for row in ROWS], rtol=1e-6)
    steps = found / np.abs(ROWS).max(axis=1, keepdims=True) * 127
    np.testing.assert_allclose(steps, steps.round(), atol=1e-4)
    assert np.abs(steps).max(axis=1).round().tolist() == [127.0] * len(ROWS)
    assert not np.array_equal(found, ROWS)
    np.testing.assert_array_equal(quantised(ROWS[7:8], "int8"), found[7:8])


def test_binary_holds_the_bits_of_sentence_transformers() -> None:
    from sentence_transformers.util.quantization import quantize_embeddings

    rows = np.vstack([ROWS, np.zeros((1, 24), dtype=np.float32)])
    found = quantised(rows, "binary")
    assert found.dtype == np.float32
    assert set(np.unique(found)) == {-1.0, 1.0}
    np.testing.assert_array_equal(np.packbits(found > 0, axis=1), quantize_embeddings(rows, "ubinary"))


@pytest.mark.parametrize("quant", ["int8", "binary"])
def test_what_is_no_number_stays_none(quant: str) -> None:
    rows = ROWS[:4].copy()
    rows[1, 2], rows[2, 0] = np.nan, np.inf
    found = quantised(rows, quant)
    assert np.isfinite(found).all(axis=1).tolist() == [True, False, False, True]
    assert quantised(rows[:0], quant).shape == (0, 24)
    np.testing.assert_array_equal(quantised(np.zeros((1, 3), np.float32), "int8"), np.zeros((1, 3)))


@pytest.mark.parametrize("quant", ["int8", "binary"])
@pytest.mark.parametrize("dim", [None, 8])
def test_a_model_rounds_what_is_left_of_its_vectors(
    bi: Path, tmp_path: Path, quant: str, dim: int | None
) -> None:
    texts = Texts(tiny.TEXTS)
    bare = tiny.load(bi, tmp_path, dim=dim)
    model = tiny.load(bi, tmp_path, dim=dim, quant=quant)
    np.testing.assert_array_equal(model.encode(texts), quantised(bare.encode(texts), quant))
    assert set(model.card.variant) == {*bare.card.variant, quant}
    assert model.card.normalized is False
    named = load_model("+".join([str(bi), *model.card.variant]), cache=tmp_path, device="cpu")
    assert named.card.fingerprint == model.card.fingerprint != bare.card.fingerprint


def test_unit_length_before_rounding_is_part_of_the_fingerprint(plain: Path, tmp_path: Path) -> None:
    """int8 keeps the length of a vector, which a dot product sees; no file of a plain folder says it."""
    rows = tmp_path / "rows.yaml"
    row = "  {name}:\n    {{kind: bi-encoder, adapter: dense, path: {path}, normalize: {on}}}\n"
    rows.write_text(
        "models:\n" + "".join(row.format(name=f"m{on}", path=plain, on=on) for on in ("true", "false"))
    )
    cards = [
        load_model(f"m{on}", catalog=rows, cache=tmp_path, quant="int8").card for on in ("true", "false")
    ]
    assert [card.normalized for card in cards] == [False, False]
    assert cards[0].fingerprint != cards[1].fingerprint


def test_fingerprints_differ_and_nonsense_is_refused(bi: Path, tmp_path: Path) -> None:
    marks = {tiny.load(bi, tmp_path, quant=quant).card.fingerprint for quant in (None, "int8", "binary")}
    assert len(marks) == 3
    with pytest.raises(UnknownNameError, match="quantisation"):
        tiny.load(bi, tmp_path, quant="int4")
    with pytest.raises(ConfigError, match="the name says quant int8, the option binary"):
        load_model(f"{bi}+int8", quant="binary", cache=tmp_path)
    for name in ("bm25", "char-ngram"):
        with pytest.raises(ConfigError, match="takes no quant"):
            load_model(name, quant="int8", cache=tmp_path)
