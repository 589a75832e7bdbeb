"""Golden values: agreement, a difference that is named, and nothing to compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from harness.errors import ConfigError, ModelError, UnknownNameError
from harness.models.catalog import load_catalog
from harness.models.golden import compare_golden
from tests.cli.test_cli import harness
from tests.models import tiny

DOCUMENTS = ["a red planet", "the brown fox jumps"]


def written(tmp_path: Path, kind: str, folder: Path, *golden: dict[str, Any], **row: Any) -> Path:
    adapter = "cross" if kind == "cross-encoder" else "dense"
    row = {"kind": kind, "adapter": adapter, "path": str(folder), "golden": list(golden), **row}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"models": {"mine": row}}), encoding="utf-8")
    return path


def values(**changes: Any) -> dict[str, Any]:
    base = {"query": "quick", "documents": DOCUMENTS, "dtype": "float32", "atol": 1e-5, "source": "here"}
    return {**base, **changes}


@pytest.mark.slow
def test_the_real_model_agrees(minilm: Path) -> None:
    answer = harness("verify", "minilm", "--model-only", "--offline", "--device", "cpu", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["agrees"]
    np.testing.assert_allclose(
        [value["found"] for value in found["values"]], [0.4647, 0.8115, 0.7279, 0.7502], atol=6e-5
    )


@pytest.mark.slow
def test_one_word_with_another_vector_is_named(minilm: Path, tmp_path: Path) -> None:
    folder = tiny.copied(minilm, tmp_path / "perturbed")
    state = tiny.tensors(folder)
    (table,) = (name for name in state if name.endswith("word_embeddings.weight"))
    saturn = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n").index("saturn")
    state[table][saturn] *= -1
    tiny.store(folder, state)
    answer = harness("verify", "minilm", "--model-only", "--offline", "--device", "cpu", "--weights", folder)
    assert answer.code == 1, answer.err
    assert [line.split()[0] for line in answer.out.splitlines() if " NO " in line] == ["Saturn,"]
    assert "1 of 4 values differ: Saturn, famous for its rings" in answer.err


def test_what_cannot_be_answered() -> None:
    for arguments, message in (
        (("bm25", "--model-only"), "bm25: the catalog has no values"),
        (("minilm",), "--model-only"),
        (("mpnet", "--model-only", "--offline", "--weights", "nowhere"), "nowhere: no such folder"),
    ):
        answer = harness("verify", *arguments)
        assert answer.code == 2
        assert message in answer.err
    with pytest.raises(UnknownNameError, match="models of the catalog"):
        compare_golden("minilmm")


def test_prompts_stand_in_front_unless_the_values_are_without(bi: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(bi), device="cpu")

    def cosines(query: str, document: str) -> list[float]:
        vectors = reference.encode([query + "quick", *(document + text for text in DOCUMENTS)])
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return [float(value) for value in unit[1:] @ unit[0]]

    sets = [values(scores=cosines("the ", "fox "), atol=1e-6), values(scores=cosines("", ""), atol=1e-6)]
    sets[1]["prompts"] = "none"
    assert np.abs(np.subtract(sets[0]["scores"], sets[1]["scores"])).max() > 1e-5
    mine = written(tmp_path, "bi-encoder", bi, *sets, prompts={"query": "the ", "document": "fox "})
    card, compared = compare_golden("mine", catalog=mine, device="cpu")
    assert card.device == "cpu"
    assert [one.what for one in compared] == DOCUMENTS * 2
    assert all(one.agrees for one in compared), compared
    with pytest.raises(ConfigError, match="no values are known of bfloat16; verify it with --dtype float32"):
        compare_golden("mine", catalog=mine, device="cpu", dtype="bfloat16")


def test_first_components(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    raw = tiny.bi_encoder(tmp_path / "raw", normalize=False)
    head = [float(value) for value in SentenceTransformer(str(raw), device="cpu").encode("quick")[:3]]
    golden = {**values(vector=head), "documents": []}
    mine = written(tmp_path, "bi-encoder", raw, golden)
    _, compared = compare_golden("mine", catalog=mine, device="cpu")
    assert [one.agrees for one in compared] == [True] * 3
    golden["vector"] = [head[0], head[1] + 1e-4, head[2]]
    _, compared = compare_golden("mine", catalog=written(tmp_path, "bi-encoder", raw, golden), device="cpu")
    assert [one.what for one in compared if not one.agrees] == ["quick [1]"]
    unit = tiny.bi_encoder(tmp_path / "unit")
    with pytest.raises(ModelError, match="unit length"):
        compare_golden("mine", catalog=written(tmp_path, "bi-encoder", unit, golden), device="cpu")


def test_scores_of_a_cross_encoder(cross: Path, tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    pairs = [("quick", text) for text in DOCUMENTS]
    scores = [float(value) for value in CrossEncoder(str(cross), device="cpu").predict(pairs)]
    mine = written(tmp_path, "cross-encoder", cross, values(scores=scores))
    _, compared = compare_golden("mine", catalog=mine, device="cpu")
    assert [one.agrees for one in compared] == [True, True]


def test_pickle_can_be_verified_where_it_is_allowed(bi: Path, tmp_path: Path) -> None:
    import torch

    folder = tiny.copied(bi, tmp_path / "pickled")
    torch.save(tiny.tensors(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    rows = written(tmp_path, "bi-encoder", folder, values(scores=[0.0, 0.0], atol=2.0))
    refused = harness("verify", "mine", "--model-only", "--device", "cpu", "--catalog", rows)
    assert refused.code == 2
    assert "--allow-pickle" in refused.err
    allowed = harness(
        "verify", "mine", "--model-only", "--device", "cpu", "--catalog", rows, "--allow-pickle"
    )
    assert allowed.code == 0, allowed.err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": [0.5]}, "1 scores for 2 documents"),
        ({}, "either scores or vector"),
        ({"scores": [0.5, 0.5], "vector": [0.1]}, "either scores or vector"),
        ({"scores": [0.5, float("nan")]}, "finite"),
        ({"scores": [0.5, 0.5], "atol": 0.0}, "rtol and atol"),
        ({"scores": [0.5, 0.5], "score": [1.0]}, "did you mean scores"),
    ],
)
def test_catalog_is_strict(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"line .*{message}"):
        load_catalog(written(tmp_path, "bi-encoder", tmp_path, values(**changes)))


def test_no_two_rows_share_values() -> None:
    """A row that takes its defaults from another must not take its values too."""
    owners: dict[tuple[float, ...], str] = {}
    for row in load_catalog().rows.values():
        for golden in row.golden:
            known = (*golden.scores, *golden.vector)
            assert owners.setdefault(known, row.name) == row.name
    assert len(set(owners.values())) == 21
