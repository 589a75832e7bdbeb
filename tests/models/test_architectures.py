"""Every architecture of the catalog, from its true names on disk, against the formulas in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.types import Texts
from tests.models import formulas, made, tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Forward = Callable[[dict[str, Any], dict[str, Any], Any], Any]
FAMILIES: dict[str, tuple[Callable[[Path], Path], Forward]] = {
    "bert": (made.bert, lambda s, c, ids: formulas.bert(s, c, ids, 0, offset=0)),
    "xlm_roberta": (made.xlm_roberta, lambda s, c, ids: formulas.bert(s, c, ids, 0, offset=2)),
    "luke": (made.luke, lambda s, c, ids: formulas.bert(s, c, ids, 0, offset=2)),
    "mpnet": (made.mpnet, formulas.mpnet),
    "t5": (made.t5, formulas.t5),
    "modernbert": (made.modernbert, formulas.modernbert),
    "qwen3": (made.qwen3, formulas.qwen3),
}
NEAR = {"float32": 1e-5, "bfloat16": 5e-3}


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_equal_the_formulas(family: str, dtype: str, tmp_path: Path) -> None:
    make, forward = FAMILIES[family]
    folder = make(tmp_path / family)
    found = _unit(tiny.load(folder, tmp_path, dtype=dtype).encode(Texts(made.TEXTS)).astype(np.float64))
    due = _unit(expected(folder, forward, made.TEXTS, dtype))
    assert found.shape == due.shape
    assert np.abs(due[0] - due[1]).max() > 0.05, "texts must differ by more than the tolerance"
    np.testing.assert_allclose(found, due, rtol=0, atol=NEAR[dtype])


def expected(folder: Path, forward: Forward, texts: list[str], dtype: str) -> Any:
    """Vectors float64 [n, dim]: the formulas over the stored tensors, rounded to `dtype`, and the modules."""
    import json

    import torch

    config = json.loads((folder / "config.json").read_text())
    state = rounded(folder, dtype)
    dense = rounded(folder / "2_Dense", dtype) if (folder / "2_Dense").is_dir() else None
    pooling = json.loads((folder / "1_Pooling/config.json").read_text())
    limit = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    rows, cut = [], token_ids(folder, texts, limit)
    assert max(map(len, cut)) == limit, "no text is long enough to be cut"
    for ids in cut:
        hidden = forward(state, config, torch.tensor(ids))
        row = hidden[-1] if pooling.get("pooling_mode_lasttoken") else hidden.mean(0)
        rows.append(dense["linear.weight"] @ row if dense else row)
    return torch.stack(rows).numpy()


def rounded(folder: Path, dtype: str) -> dict[str, Any]:
    """The stored tensors as a model of `dtype` has them, in float64."""
    import torch

    return {name: t.to(getattr(torch, dtype)).double() for name, t in tiny.tensors(folder).items()}


def token_ids(folder: Path, texts: list[Any], limit: int) -> list[list[int]]:
    """By tokenizer.json alone, cut to `limit`."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def _unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
