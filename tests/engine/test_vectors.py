"""The vector store: what was kept comes back, nothing damaged ever does."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from harness.engine.shards import DamagedShardError, open_shard, write_shard
from harness.engine.vectors import VectorStore, inventory, pair_keys, text_keys
from harness.errors import StoreError
from harness.types import Pairs, Texts, Vectors


def rows(n: int, dim: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def test_key_is_blake2b_over_length_prefixed_route_prompt_and_text() -> None:
    (key,) = text_keys(Texts(["query: 你好"], prompt="query: ", route="r"))
    parts = ["r", "query: ", "你好"]
    content = b"".join(len(p.encode()).to_bytes(8, "little") + p.encode() for p in parts)
    assert key == hashlib.blake2b(content, digest_size=16).digest().rstrip(b"\0")


def test_route_prompt_and_text_each_change_the_key() -> None:
    asked = [
        Texts(["ab"]),
        Texts(["ab"], route="r"),
        Texts(["ab"], prompt="a"),
        Texts(["ab"], prompt="ab"),
        Texts(["abc"]),
        Texts(["b"], route="a"),
    ]
    assert len({text_keys(texts)[0] for texts in asked}) == len(asked)


def test_pairs_are_not_confused_across_the_border() -> None:
    keys = pair_keys(Pairs(["ab", "a", ""], ["c", "bc", "abc"]))
    assert len(set(keys.tolist())) == 3


def test_what_was_kept_comes_back_in_another_process_worth_of_objects(tmp_path: Path) -> None:
    texts, kept = Texts(["one", "two", "three"]), rows(3)
    VectorStore(tmp_path).append(text_keys(texts), kept)
    again = VectorStore(tmp_path)
    found = again.find(text_keys(Texts(["three", "none", "one"])))
    assert found.tolist()[1] == -1
    np.testing.assert_array_equal(again.vectors(found[[0, 2]]).gather(), kept[[2, 0]])
    assert len(again) == 3


def test_rows_span_shards(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    first, second = rows(2, seed=1), rows(2, seed=2)
    store.append(text_keys(Texts(["a", "b"])), first)
    store.append(text_keys(Texts(["c", "d"])), second)
    vectors = store.vectors(store.find(text_keys(Texts(["d", "a", "c", "a"]))))
    np.testing.assert_array_equal(vectors.gather(), np.stack([second[1], first[0], second[0], first[0]]))
    assert vectors.dim == 3


def test_keys_that_end_in_zero_bytes_are_told_apart(tmp_path: Path) -> None:
    keys = np.frombuffer(b"".join(bytes([i]) + b"\0" * 15 for i in (1, 2)) + b"\1\0" * 8, dtype="S16")
    store = VectorStore(tmp_path)
    store.append(keys, rows(3))
    assert VectorStore(tmp_path).find(keys).tolist() == [0, 1, 2]


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "grow"])
def test_a_damaged_shard_is_set_aside_and_said(tmp_path: Path, damage: str) -> None:
    store = VectorStore(tmp_path)
    store.append(text_keys(Texts(["a"])), rows(1))
    store.append(text_keys(Texts(["b"])), rows(1, seed=9))
    victim = shards(tmp_path)[0]
    raw = bytearray(victim.read_bytes())
    if damage == "flip":
        raw[-1] ^= 1
    victim.write_bytes(
        {"flip": bytes(raw), "truncate": bytes(raw[:-3]), "empty": b"", "grow": bytes(raw) + b"x"}[damage]
    )
    said: list[str] = []
    again = VectorStore(tmp_path, warn=said.append)
    assert len(again) == 1
    assert len(said) == 1
    assert victim.name in said[0]
    assert victim.with_suffix(".damaged").exists()
    assert not victim.exists()


def test_a_shard_of_scores_is_no_shard_of_vectors(tmp_path: Path) -> None:
    path = write_shard(tmp_path, np.zeros((1, 16), np.uint8), np.zeros(1, np.float32), "scores")
    with pytest.raises(DamagedShardError, match="vectors"):
        open_shard(path, "vectors")


def test_a_temporary_file_of_a_killed_writer_is_never_read(tmp_path: Path) -> None:
    (tmp_path / ".abc.123.tmp").write_bytes(b"half a shard")
    assert len(VectorStore(tmp_path)) == 0


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        VectorStore(tmp_path / "file" / "below").append(text_keys(Texts(["a"])), rows(1))


def test_memory_only_store_writes_nothing(tmp_path: Path) -> None:
    store = VectorStore(None)
    store.append(text_keys(Texts(["a"])), rows(1))
    assert store.find(text_keys(Texts(["a"]))).tolist() == [0]
    assert not list(tmp_path.iterdir())


def test_inventory_counts_shards_and_names_the_model(tmp_path: Path) -> None:
    VectorStore(tmp_path / "vectors" / "f00", label="org/name").append(text_keys(Texts(["a"])), rows(1))
    (entry,) = inventory(tmp_path)
    assert (entry["kind"], entry["fingerprint"], entry["model"], entry["shards"]) == (
        "vectors",
        "f00",
        "org/name",
        1,
    )


class TestVectors:
    def test_distinct_gives_each_storage_row_once(self) -> None:
        vectors = Vectors((rows(4),), np.array([2, 0, 2, 3]))
        distinct, inverse = vectors.distinct()
        assert distinct.rows.tolist() == [0, 2, 3]
        np.testing.assert_array_equal(distinct.gather()[inverse], vectors.gather())

    def test_blocks_cover_everything_once(self) -> None:
        vectors = Vectors.of(rows(7))
        parts = list(vectors.blocks(3))
        assert [start for start, _ in parts] == [0, 3, 6]
        np.testing.assert_array_equal(np.concatenate([block for _, block in parts]), vectors.gather())

    def test_lower_precision_storage_is_read_as_float32(self) -> None:
        assert Vectors.of(rows(2).astype(np.float16)).gather().dtype == np.float32
