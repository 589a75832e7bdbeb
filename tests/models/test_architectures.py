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


@pytest.mark.parametrize("dtype", NEAR)
def test_bert_with_a_tokenizer_in_python(dtype: str, tmp_path: Path) -> None:
    """Without tokenizer.json: the ids are those of vocab.txt, a word not in it is unknown."""
    import json

    import torch

    folder = made.bert_japanese(tmp_path / "ja")
    texts = ["東 京 都 の 天 気", "東京", ""]
    found = tiny.load(folder, tmp_path, dtype=dtype).encode(Texts(texts)).astype(np.float64)
    config, state = json.loads((folder / "config.json").read_text()), rounded(folder, dtype)
    place = tiny.VOCABULARY.index
    words = [text.replace("東京", "[UNK]").split() for text in texts]
    rows = [[place("[CLS]"), *map(place, row), place("[SEP]")] for row in words]
    due = [formulas.bert(state, config, torch.tensor(ids), 0, offset=0).mean(0).numpy() for ids in rows]
    np.testing.assert_allclose(found, _unit(np.stack(due)), rtol=0, atol=NEAR[dtype])


def test_the_instruction_of_a_checkpoint_reaches_its_queries(tmp_path: Path) -> None:
    """And its vector is that of the last token, whatever stands beside the text in a batch."""
    folder = made.qwen3(tmp_path / "qwen")
    model = tiny.load(folder, tmp_path)
    assert model.card.prompts == {"query": "Instruct: find it\nQuery:"}
    assert model.card.pooling == "lasttoken"
    prompt = model.card.prompts["query"]
    rendered = [prompt + text for text in made.TEXTS]
    found = model.encode(Texts(rendered, role="query", prompt=prompt))
    np.testing.assert_allclose(
        found, _unit(expected(folder, formulas.qwen3, rendered, "float32")), rtol=0, atol=1e-5
    )
    assert np.abs(found - model.encode(Texts(made.TEXTS))).max() > 0.05


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("modernbert", {"local_attention": 12}), ("modernbert", {"local_rope_theta": 160000.0}),
        ("modernbert", {"global_attn_every_n_layers": 2}), ("t5", {"layer_norm_epsilon": 1e-2}),
        ("qwen3", {"rope_theta": 10000}), ("qwen3", {"rms_norm_eps": 1e-2}),
        ("bert", {"layer_norm_eps": 1e-2}), ("xlm_roberta", {"num_attention_heads": 2}),
        ("luke", {"layer_norm_eps": 1e-2}), ("mpnet", {"num_attention_heads": 2}),
    ],
)  # fmt: skip
def test_every_setting_is_followed(family: str, change: dict[str, Any], tmp_path: Path) -> None:
    """A setting of config.json changes the vectors, and changes them as the formulas say."""
    make, forward = FAMILIES[family]
    folder = make(tmp_path / family)
    before = _unit(expected(folder, forward, made.TEXTS, "float32"))
    if change.get("num_attention_heads") and family == "mpnet":
        state, name = tiny.tensors(folder), "encoder.relative_attention_bias.weight"
        tiny.store(folder, {**state, name: state[name][:, :2].contiguous()})
    tiny.change(folder / "config.json", **change)
    due = _unit(expected(folder, forward, made.TEXTS, "float32"))
    assert np.abs(due - before).max() > 1e-3
    found = _unit(tiny.load(folder, tmp_path).encode(Texts(made.TEXTS)).astype(np.float64))
    np.testing.assert_allclose(found, due, rtol=0, atol=1e-5)


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
