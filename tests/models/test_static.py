"""Static models against sentence-transformers on the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import ModelError
from harness.models.base import BiEncoder
from harness.types import Texts
from tests.models import made, tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TEXTS = [*made.TEXTS, "   ", "a red sun " * 60]


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.static(tmp_path_factory.mktemp("made") / "potion")


def encode(folder: Path, cache: Path, texts: list[str] = TEXTS, **options: object) -> np.ndarray:
    model = tiny.load(folder, cache, **options)
    assert isinstance(model, BiEncoder)
    return model.encode(Texts(texts))


def oracle(folder: Path, **options: Any) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True).encode(TEXTS, **options)


def test_quantised_vectors(static: Path, tmp_path: Path) -> None:
    bare = encode(static, tmp_path, dim=3)
    np.testing.assert_array_equal(
        encode(static, tmp_path, dim=3, quant="binary"), np.where(bare > 0, np.float32(1), np.float32(-1))
    )


def test_vectors_equal_sentence_transformers(static: Path, tmp_path: Path) -> None:
    found = encode(static, tmp_path)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, oracle(static), atol=1e-6)
    assert not found[2].any(), "no token: the zero vector, as there"
    assert np.linalg.norm(found[0]) == pytest.approx(1, abs=1e-6)


def test_vectors_equal_the_mean_of_their_rows(static: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    table = tiny.tensors(static)["embeddings"].double().numpy()
    ids = Tokenizer.from_file(str(static / "tokenizer.json")).encode(TEXTS[0], add_special_tokens=False).ids
    due = table[ids].mean(0)
    np.testing.assert_allclose(encode(static, tmp_path)[0], due / np.linalg.norm(due), atol=1e-6)


def test_a_mapping_and_weights_of_tokens(static: Path, tmp_path: Path) -> None:
    """As newer model2vec stores them: fewer rows than tokens, float16, a factor a token."""
    import torch

    folder = tiny.copied(static, tmp_path / "m")
    table = tiny.tensors(folder)["embeddings"]
    rng = np.random.default_rng(1)
    parts = {
        "embeddings": table[:20].half().contiguous(),
        "mapping": torch.from_numpy(rng.integers(0, 20, len(table))),
        "weights": torch.from_numpy(rng.random(len(table)).astype(np.float32)),
    }
    tiny.store(folder, parts)
    np.testing.assert_allclose(encode(folder, tmp_path), oracle(folder), atol=1e-6)


def test_bits_do_not_depend_on_what_stands_beside(static: Path, tmp_path: Path) -> None:
    many = [text for i in range(60) for text in (f"the {'sun ' * (i * 17)} moon", f"a red mars {i}", "")]
    together = encode(static, tmp_path, many)
    apart = np.concatenate([encode(static, tmp_path, many[at : at + 7]) for at in range(0, len(many), 7)])
    np.testing.assert_array_equal(together, apart)


def test_card_and_options(static: Path, tmp_path: Path) -> None:
    card = tiny.load(static, tmp_path).card
    assert (card.kind, card.dim, card.max_length, card.normalized) == ("bi-encoder", made.H, None, True)
    assert card.adapter == "static@1"
    short = encode(static, tmp_path, max_length=3, dim=5)
    assert short.shape == (len(TEXTS), 5)
    assert np.abs(short - encode(static, tmp_path)[:, :5]).max() > 0.01
    kept = encode(static, tmp_path, dim=5)
    assert not kept[2].any(), "no token: the zero vector stays one"
    np.testing.assert_allclose(kept, oracle(static, truncate_dim=5, normalize_embeddings=True), atol=1e-6)
    for options in ({"dtype": "bfloat16"}, {"dim": 99}):
        with pytest.raises(ModelError, match=r"there is no bfloat16|99 cannot be kept"):
            tiny.load(static, tmp_path, **options)


def test_tables_that_do_not_fit_are_refused(static: Path, tmp_path: Path) -> None:
    import torch

    folder = tiny.copied(static, tmp_path / "m")
    table = tiny.tensors(folder)["embeddings"]
    spoiled = table.clone()
    spoiled[3, 1] = float("nan")
    for tensors, message in (
        ({"embeddings": table[:-1].contiguous()}, "rows for the .* tokens"),
        ({"embeddings": spoiled}, "holds NaN"),
        ({"embeddings": table, "more": torch.ones(2)}, r"tensors \['embeddings', 'more'\]"),
        ({"other": table}, r"tensors \['other'\]"),
    ):
        tiny.store(folder, tensors)
        with pytest.raises(ModelError, match=message):
            encode(folder, tmp_path)


def test_modules_that_a_table_cannot_have(static: Path, tmp_path: Path) -> None:
    import json

    folder = tiny.copied(static, tmp_path / "m")
    rows = json.loads((folder / "modules.json").read_text())
    rows[1]["type"] = "sentence_transformers.models.Pooling"
    tiny.put(folder / "modules.json", rows)
    tiny.put(folder / rows[1]["path"] / "config.json", {"pooling_mode": "mean"})
    with pytest.raises(ModelError, match="'Pooling' behind a static table"):
        tiny.load(folder, tmp_path)
