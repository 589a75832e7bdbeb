"""The vector store: what was kept comes back, nothing damaged ever does."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from harness.engine import intake
from harness.engine import vectors as vectors_module
from harness.engine.index import Index
from harness.engine.intake import new_shards
from harness.engine.segments import Maps, Segments
from harness.engine.shards import check_shard, read_shard
from harness.engine.vectors import Keys, VectorStore, pair_keys, text_keys
from harness.errors import ModelError, StoreError
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


def keys(*names: str) -> Keys:
    return text_keys(Texts(list(names)))


def stored_keys(folder: Path) -> list[bytes]:
    found = [read_shard(path, "vectors")[1].tobytes() for path in shards(folder)]
    joined = b"".join(found)
    return [joined[at : at + 16] for at in range(0, len(joined), 16)]


def test_opening_reads_no_payload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    VectorStore(tmp_path).append(keys("a", "b"), rows(2))
    hashed: list[Path] = []
    monkeypatch.setattr(
        intake, "check_shard", lambda path, name: hashed.append(path) or check_shard(path, name)
    )
    store = VectorStore(tmp_path)
    assert store.present(keys("b", "c")).tolist() == [True, False]
    assert not hashed
    for _ in range(2):
        assert store.find(keys("b")).tolist() == [1]
    assert hashed == shards(tmp_path), "once in a process"


def test_present_leaves_no_trace(tmp_path: Path) -> None:
    VectorStore(tmp_path / "v").append(keys("a"), rows(1))
    (shard,) = shards(tmp_path / "v")
    shard.write_bytes(b"")
    (tmp_path / "v/.use").unlink()
    before = sorted(tmp_path.rglob("*"))
    said: list[str] = []
    assert not VectorStore(tmp_path / "v", warn=said.append).present(keys("a")).any()
    assert not VectorStore(tmp_path / "none").present(keys("a")).any()
    assert sorted(tmp_path.rglob("*")) == before
    assert not said


def test_only_shards_that_are_answered_from_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = VectorStore(tmp_path)
    for seed, name in enumerate("abc"):
        store.append(keys(name), rows(1, seed=seed))
    hashed: list[Path] = []
    monkeypatch.setattr(
        intake, "check_shard", lambda path, name: hashed.append(path) or check_shard(path, name)
    )
    again = VectorStore(tmp_path)
    again.find(keys("none"))
    assert not hashed
    again.find(keys("b", "c"))
    assert len(hashed) == 2


def test_shards_of_another_run_are_taken_in_by_refresh(tmp_path: Path) -> None:
    one, other = VectorStore(tmp_path), VectorStore(tmp_path)
    one.append(keys("a"), rows(1))
    assert not other.present(keys("a")).any()
    other.refresh()
    np.testing.assert_array_equal(other.vectors(other.find(keys("a"))).gather(), rows(1))


def test_refresh_does_not_list_a_folder_that_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    VectorStore(tmp_path).append(keys("a"), rows(1))
    os.utime(tmp_path, (1, 1))
    store = VectorStore(tmp_path)
    listed: list[Path] = []
    monkeypatch.setattr(
        vectors_module, "new_shards", lambda folder, *rest: listed.append(folder) or new_shards(folder, *rest)
    )
    store.refresh()
    assert not listed
    VectorStore(tmp_path).append(keys("b"), rows(1, seed=1))
    listed.clear()
    store.refresh()
    assert listed
    assert store.present(keys("b")).all()


def test_what_another_run_wrote_meanwhile_is_not_written_again(tmp_path: Path) -> None:
    one, other = VectorStore(tmp_path), VectorStore(tmp_path)
    kept = rows(4)
    one.append(keys("a", "b"), kept[:2])
    other.append(keys("c", "b", "a", "c"), np.stack([kept[2], kept[1], kept[0], kept[2]]))
    assert sorted(stored_keys(tmp_path)) == sorted(k.tobytes() for k in keys("a", "b", "c").reshape(-1, 1))
    np.testing.assert_array_equal(other.vectors(other.find(keys("c", "a"))).gather(), kept[[2, 0]])


def test_an_append_of_nothing_new_writes_nothing(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    store.append(keys("a"), rows(1))
    store.append(keys("a"), rows(1, seed=5))
    assert len(shards(tmp_path)) == 1
    np.testing.assert_array_equal(store.vectors(store.find(keys("a"))).gather(), rows(1))


@pytest.mark.parametrize("folder", [True, False])
def test_rows_of_another_length_are_refused(tmp_path: Path, folder: bool) -> None:
    store = VectorStore(tmp_path if folder else None, label="org/name")
    store.append(keys("a"), rows(1, dim=3))
    with pytest.raises(ModelError, match=r"org/name: vectors of length 4 where earlier ones have 3"):
        store.append(keys("b"), rows(1, dim=4))
    assert len(store) == 1


def test_written_rows_are_not_held_in_memory(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    store.append(keys("a"), rows(1))
    (segment,) = store.vectors(store.find(keys("a"))).segments
    assert not isinstance(segment, np.ndarray)
    assert not segment[:].flags.owndata, "a view of the file"


def test_scores_come_back_in_the_order_asked(tmp_path: Path) -> None:
    pairs = pair_keys(Pairs(["a", "b", "c"], ["x", "y", "z"]))
    store = VectorStore(tmp_path, "scores")
    store.append(pairs[:2], np.array([1, 2], np.float32))
    store.append(pairs[2:], np.array([3], np.float32))
    for opened in (store, VectorStore(tmp_path, "scores")):
        assert opened.scores(opened.find(pairs[[2, 0, 2]])).tolist() == [3, 1, 3]
    assert VectorStore(None, "scores").scores(np.empty(0, np.int64)).shape == (0,)


@pytest.mark.parametrize("block", [1, 3, 4, 1000])
def test_keys_of_many_shards_are_read_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    kept, names = rows(12), [f"t{i}" for i in range(12)]
    store = VectorStore(tmp_path)
    for start, stop in ((0, 1), (1, 3), (3, 8), (8, 9), (9, 12)):
        store.append(keys(*names[start:stop]), kept[start:stop])
    monkeypatch.setattr(intake, "_BLOCK", block)
    again = VectorStore(tmp_path)
    np.testing.assert_array_equal(again.vectors(again.find(keys(*names))).gather(), kept)


def test_only_the_maps_used_last_are_held(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    store._maps = Maps(limit=2)
    kept = rows(5)
    for at, name in enumerate("abcde"):
        store.append(keys(name), kept[at : at + 1])
    vectors = store.vectors(store.find(keys("e", "a", "d", "b", "c")))
    np.testing.assert_array_equal(vectors.gather(), kept[[4, 0, 3, 1, 2]])
    assert len(store._maps._held) == 2


def test_a_shard_that_vanishes_under_a_run_is_an_error_in_words(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    store.append(keys("a"), rows(1))
    vectors = store.vectors(store.find(keys("a")))
    shards(tmp_path)[0].unlink()
    with pytest.raises(StoreError, match="run it again"):
        vectors.gather()


def test_several_threads_may_use_one_store(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    every = rows(64)

    def work(worker: int) -> None:
        for at in range(worker, worker + 8):  # neighbours overlap
            store.append(keys(f"t{at}"), every[at : at + 1])
            found = store.find(keys(f"t{at}"))
            np.testing.assert_array_equal(store.vectors(found).gather(), every[at : at + 1])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(0, 16, 2)))
    assert len(stored_keys(tmp_path)) == len(set(stored_keys(tmp_path))) == len(store) == 22


def test_the_store_imports_no_torch() -> None:
    script = "import sys, harness.engine.vectors, harness.engine.upkeep; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


class TestIndex:
    def test_equals_a_dictionary(self) -> None:
        random = np.random.default_rng(3)
        # Few distinct halves: many keys share their first half, and many stand more than once.
        every = random.integers(0, 40, (3000, 2)).astype(np.uint64)
        index, expected, start = Index(), {}, 0
        while start < len(every):
            step = int(random.integers(1, 300))
            index.add([every[start : start + step // 2], every[start + step // 2 : start + step]], start)
            for row, key in enumerate(every[start : start + step].tolist(), start):
                expected.setdefault(tuple(key), row)
            start += step
        asked = random.integers(0, 50, (2000, 2)).astype(np.uint64)
        assert index.find(asked).tolist() == [expected.get(tuple(key), -1) for key in asked.tolist()]
        index.drop(0, 1000)
        expected = {}
        for row, key in enumerate(every[1000:].tolist(), 1000):
            expected.setdefault(tuple(key), row)
        assert index.find(asked).tolist() == [expected.get(tuple(key), -1) for key in asked.tolist()]
        assert len(index) == 2000

    def test_many_small_additions_make_few_runs(self) -> None:
        index, random = Index(), np.random.default_rng(0)
        every = random.integers(0, 2**63, (200, 64, 2)).astype(np.uint64)
        for at, part in enumerate(every):
            index.add([part], 64 * at)
        assert len(index._runs) < 8
        assert index.nbytes == 20 * 64 * 200
        assert index.find(every.reshape(-1, 2)).tolist() == list(range(64 * 200))

    def test_nothing_is_found_in_nothing(self) -> None:
        index = Index()
        index.add([], 0)
        assert index.find(np.zeros((2, 2), np.uint64)).tolist() == [-1, -1]
        assert index.find(np.zeros((0, 2), np.uint64)).shape == (0,)


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

    @pytest.mark.parametrize("table", [tuple, Segments])
    def test_gather_equals_indexing_of_the_whole(self, table: type) -> None:
        random = np.random.default_rng(1)
        parts = [rows(int(n), seed=int(n)) for n in random.integers(1, 9, 60)]
        whole = np.concatenate(parts)
        segments = table(parts)
        asked = [
            random.integers(0, len(whole), 500),
            np.sort(random.integers(0, len(whole), 500)),
            np.arange(len(whole)),
            np.arange(len(whole))[::-1],
            np.array([len(whole) - 1]),
            np.empty(0, np.int64),
        ]
        for wanted in asked:
            vectors = Vectors(segments, wanted.astype(np.int64))
            np.testing.assert_array_equal(vectors.gather(), whole[wanted])
            if len(wanted):
                blocks = np.concatenate([block for _, block in vectors.blocks(7)])
                np.testing.assert_array_equal(blocks, whole[wanted])
            distinct, inverse = vectors.distinct()
            np.testing.assert_array_equal(distinct.gather()[inverse], whole[wanted])

    def test_each_segment_is_touched_once_and_only_if_needed(self) -> None:
        touched: list[int] = []

        class Watched:
            shape = (4, 3)

            def __init__(self, name: int) -> None:
                self.name = name

            def __len__(self) -> int:
                return 4

            def __getitem__(self, index: object) -> np.ndarray:
                touched.append(self.name)
                return np.full((4, 3), self.name, np.float32)[index]

        vectors = Vectors(tuple(Watched(n) for n in range(100)), np.array([399, 8, 11, 396, 9]))  # type: ignore[arg-type]
        assert vectors.gather()[:, 0].tolist() == [99, 2, 2, 99, 2]
        assert sorted(touched) == [2, 99]

    @pytest.mark.parametrize("row", [-1, 4])
    def test_a_row_outside_the_storage_is_an_error(self, row: int) -> None:
        with pytest.raises(IndexError, match="storage of 4"):
            Vectors((rows(4),), np.array([row])).gather()
