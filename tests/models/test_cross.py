"""Cross-encoders against CrossEncoder.predict on the same files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import ModelError
from harness.models.base import CrossEncoder
from harness.types import Float32, Pairs
from tests.models import tiny

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
PAIRS = Pairs(
    ["which planet is red", "which planet is red", "mars " * 30, "", "東京都"],
    ["mars", "the sun is a known ring of the moon", "the " * 30, "sun", "天気は晴れです"],
)


def score(folder: Path, cache: Path, **options: object) -> Float32:
    model = tiny.load(folder, cache, **options)
    assert isinstance(model, CrossEncoder)
    return model.score(PAIRS)


def oracle(folder: Path) -> np.ndarray:
    import torch
    from sentence_transformers import CrossEncoder as Reference

    model = Reference(
        str(folder),
        device="cpu",
        model_kwargs={"dtype": torch.float32},
        trust_remote_code=False,
        local_files_only=True,
    )
    return model.predict(list(zip(PAIRS.left, PAIRS.right, strict=True)), show_progress_bar=False)


@pytest.mark.parametrize("batch_tokens", [1, 50, 4096])
def test_scores_equal_sentence_transformers(cross: Path, tmp_path: Path, batch_tokens: int) -> None:
    found = score(cross, tmp_path, batch_tokens=batch_tokens)
    assert found.dtype == np.float32
    assert len(set(found.tolist())) == len(PAIRS)
    assert ((found > 0) & (found < 1)).all()
    np.testing.assert_allclose(found, oracle(cross), atol=1e-6)


def test_as_saved_by_sentence_transformers(cross: Path, tmp_path: Path) -> None:
    """The newest format: modules.json, its own names, a stored activation."""
    import torch
    from sentence_transformers import CrossEncoder as Reference

    reference = Reference(
        str(cross), device="cpu", local_files_only=True, activation_fn=torch.nn.Identity(), max_length=20
    )
    reference.save_pretrained(str(tmp_path / "saved"))
    model = tiny.load(tmp_path / "saved", tmp_path)
    assert (model.card.pooling, model.card.max_length) == ("identity", 20)
    assert isinstance(model, CrossEncoder)
    expected = reference.predict(list(zip(PAIRS.left, PAIRS.right, strict=True)), show_progress_bar=False)
    np.testing.assert_allclose(model.score(PAIRS), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sbert_ce_default_activation_function", "torch.nn.modules.linear.Identity"),
        ("sentence_transformers", {"activation_fn": "torch.nn.modules.activation.Tanh"}),
    ],
)
def test_stored_activation(cross: Path, tmp_path: Path, key: str, value: object) -> None:
    folder = tiny.copied(cross, tmp_path / "m")
    tiny.change(folder / "config.json", **{key: value})
    found = score(folder, tmp_path)
    np.testing.assert_allclose(found, oracle(folder), atol=1e-6)
    assert abs(found - score(cross, tmp_path)).max() > 1e-3


def test_card(cross: Path, tmp_path: Path) -> None:
    card = tiny.load(cross, tmp_path, prompts="none").card
    assert (card.kind, card.dim, card.max_length, card.pooling) == ("cross-encoder", None, 40, "sigmoid")
    assert card.variant == ()


def test_order_of_a_pair_matters(cross: Path, tmp_path: Path) -> None:
    model = tiny.load(cross, tmp_path)
    assert isinstance(model, CrossEncoder)
    there, back = model.score(Pairs(["mars"], ["the sun"])), model.score(Pairs(["the sun"], ["mars"]))
    assert abs(there - back)[0] > 1e-4


def test_foreign_activation_is_refused(cross: Path, tmp_path: Path) -> None:
    folder = tiny.copied(cross, tmp_path / "m")
    tiny.change(folder / "config.json", sentence_transformers={"activation_fn": "evil.Module"})
    with pytest.raises(ModelError, match=r"evil\.Module"):
        tiny.load(folder, tmp_path)


def test_several_labels_are_refused(tmp_path: Path) -> None:
    folder = tiny.cross_encoder(tmp_path / "nli", labels=3)
    with pytest.raises(ModelError, match="3 labels; a reranker has one"):
        tiny.load(folder, tmp_path)


def test_what_is_not_applied_is_refused(cross: Path, tmp_path: Path) -> None:
    folder = tiny.copied(cross, tmp_path / "m")
    tiny.put(
        folder / "config_sentence_transformers.json",
        {"prompts": {"rank": "rank: "}, "default_prompt_name": "rank"},
    )
    with pytest.raises(ModelError, match="'rank: '"):
        tiny.load(folder, tmp_path)
    with pytest.raises(ModelError, match="dim"):
        tiny.load(cross, tmp_path, dim=2)
    with pytest.raises(ModelError, match="no --quant"):
        tiny.load(cross, tmp_path, quant="int8")
