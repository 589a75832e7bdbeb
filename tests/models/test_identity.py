"""One fingerprint a model: every ingredient changes it, nothing else does."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from harness.models import identity, load_model
from harness.models.base import ModelCard
from harness.models.checkpoint import read_checkpoint
from harness.models.identity import Memo, fingerprint
from harness.models.tokenizer import PROBES, raw_token_ids
from tests.models import tiny


def card(folder: Path, cache: Path, **options: Any) -> ModelCard:
    return tiny.load(folder, cache, **options).card


def weights(folder: Path) -> None:
    state = tiny.tensors(folder)
    state["embeddings.LayerNorm.bias"][0] += 1e-3
    tiny.store(folder, state)


def tokenizer(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["normalizer"]["strip_accents"] = False
    tiny.put(folder / "tokenizer.json", content)


FILES = {
    "weights": weights,
    "tokenizer": tokenizer,
    "config": lambda f: tiny.change(f / "config.json", layer_norm_eps=1e-7),
    "pooling": lambda f: tiny.put(f / "1_Pooling/config.json", {"pooling_mode": "cls"}),
    "length": lambda f: tiny.put(f / "sentence_bert_config.json", {"max_seq_length": 30}),
    "special": lambda f: tiny.put(f / "special_tokens_map.json", {"pad_token": "[PAD]"}),
    "added": lambda f: tiny.put(f / "added_tokens.json", {}),
    "modules": lambda f: (f / "modules.json").write_text(
        json.dumps(json.loads((f / "modules.json").read_text())[:2])
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_each_file_changes_fingerprint_and_revision(what: str, bi: Path, tmp_path: Path) -> None:
    folder = tiny.copied(bi, tmp_path / "m")
    before = card(folder, tmp_path)
    FILES[what](folder)
    after = card(folder, tmp_path)
    assert after.fingerprint != before.fingerprint
    assert after.revision != before.revision


@pytest.mark.parametrize(
    "options", [{"dtype": "bfloat16"}, {"dtype": "float16"}, {"max_length": 31}, {"dim": 8}], ids=str
)
def test_each_setting_changes_the_fingerprint_alone(
    options: dict[str, Any], bi: Path, tmp_path: Path
) -> None:
    before, after = card(bi, tmp_path), card(bi, tmp_path, **options)
    assert after.fingerprint != before.fingerprint
    assert after.revision == before.revision


def test_adapter_version_changes_the_fingerprint(
    bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = card(bi, tmp_path)
    monkeypatch.setattr("harness.models.dense.VERSION", 99)
    assert card(bi, tmp_path).fingerprint != before.fingerprint


def test_token_ids_change_the_fingerprint(bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = card(bi, tmp_path / "a")
    monkeypatch.setattr(identity, "raw_token_ids", lambda _: [[1, 2, 3]])
    assert card(bi, tmp_path / "b").fingerprint != before.fingerprint


def test_what_changes_no_vector_keeps_it(bi: Path, tmp_path: Path) -> None:
    folder = tiny.copied(bi, tmp_path / "m")
    before = card(folder, tmp_path)
    (folder / "README.md").write_text("hello")
    (folder / "notes.py").write_text("x = 1")
    stored = {"prompts": {"query": "q: "}, "similarity_fn_name": "dot"}
    tiny.put(folder / "config_sentence_transformers.json", stored)
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    after = card(folder, tmp_path, device="auto", batch_tokens=7, prompts="none")
    assert after.fingerprint == before.fingerprint
    assert after.revision == before.revision


def test_cross_encoder_activation_is_part_of_it(cross: Path, tmp_path: Path) -> None:
    folder = tiny.copied(cross, tmp_path / "m")
    before = card(folder, tmp_path)
    tiny.put(
        folder / "config_sentence_transformers.json",
        {"activation_fn": "torch.nn.modules.linear.Identity"},
    )
    assert card(folder, tmp_path).fingerprint != before.fingerprint


def test_hashes_are_remembered(bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    real = identity._sha256
    monkeypatch.setattr(identity, "_sha256", lambda path: counted.append(path.name) or real(path))
    monkeypatch.setattr(identity, "_RACY_NS", -(10**12))
    folder = tiny.copied(bi, tmp_path / "m")
    files = read_checkpoint(folder).files
    first = Memo(tmp_path).hashes(folder, files)
    assert sorted(counted) == sorted(Path(name).name for name in files)
    counted.clear()
    assert Memo(tmp_path).hashes(folder, files) == first
    assert counted == []
    os.utime(folder / "config.json", (1, 1))
    assert Memo(tmp_path).hashes(folder, files) == first
    assert counted == ["config.json"]
    counted.clear()
    assert Memo(None).hashes(folder, ["config.json"])["config.json"] == first["config.json"]
    assert counted == ["config.json"]


def test_a_file_changed_just_now_is_not_remembered(tmp_path: Path) -> None:
    """A second change within the clock's grain would show in neither time nor size."""
    path = tmp_path / "f"
    path.write_bytes(b"aaaa")
    memo = Memo(tmp_path / "cache")
    one = memo.hashes(tmp_path, ["f"])["f"]
    stamp = path.stat()
    path.write_bytes(b"bbbb")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert memo.hashes(tmp_path, ["f"])["f"] != one


def test_a_broken_or_unwritable_memo_is_no_error(bi: Path, tmp_path: Path) -> None:
    expected = card(bi, tmp_path / "fresh").fingerprint
    broken = tmp_path / "broken/models/hashes.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    assert card(bi, tmp_path / "broken").fingerprint == expected
    (tmp_path / "file").write_text("not a folder")
    assert card(bi, tmp_path / "file").fingerprint == expected


def test_token_ids_are_remembered(bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = card(bi, tmp_path).fingerprint

    def never(_: Path) -> list[list[int]]:
        raise AssertionError("asked the tokenizer again")

    monkeypatch.setattr(identity, "raw_token_ids", never)
    assert card(bi, tmp_path).fingerprint == before
    with pytest.raises(AssertionError):
        card(bi, tmp_path / "other")


def test_raw_ids_ignore_stored_cutting_and_padding(bi: Path) -> None:
    ids = raw_token_ids(bi)
    assert len(ids) == len(PROBES)
    assert max(map(len, ids)) > 8
    assert all(row[0] == 2 and row[-1] == 3 and 0 not in row for row in ids)


def test_probes_cover_the_scripts() -> None:
    text = "".join(PROBES)
    assert all(character in text for character in "Ü你京のＡｶ\n")


def test_fingerprint_ignores_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})


def test_concurrent_writers_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(identity, "_RACY_NS", -(10**12))
    names = [f"f{i}" for i in range(24)]
    for name in names:
        (tmp_path / name).write_text(name)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: Memo(tmp_path / "c").hashes(tmp_path, [name]), names))
    table = json.loads((tmp_path / "c/models/hashes.json").read_text())["files"]
    assert sorted(Path(path).name for path in table) == sorted(names)


def test_minilm_fingerprint_is_quick_once_remembered(
    minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_RACY_NS", -(10**12))
    first = load_model("minilm", cache=tmp_path).card.fingerprint
    start = time.perf_counter()
    assert load_model("minilm", cache=tmp_path).card.fingerprint == first
    assert time.perf_counter() - start < 1.0
