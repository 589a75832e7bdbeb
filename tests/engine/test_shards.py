"""Shard files: whole or not at all, and no damage goes unseen; never a wrong vector, never a traceback."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.engine.shards import (
    DamagedShardError,
    UnreadableShardError,
    check_shard,
    is_shard,
    read_shard,
    write_shard,
)
from harness.engine.vectors import Keys, VectorStore, text_keys
from harness.errors import StoreError
from harness.types import Texts

NAMES = ("one", "two", "three")


def rows(n: int, dim: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def keys(*names: str) -> Keys:
    return text_keys(Texts(list(names)))


def raw_keys(*names: str) -> np.ndarray:
    return keys(*names).view(np.uint8).reshape(-1, 16)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def whole_name(folder: Path, raw: bytes) -> Path:
    """Write bytes under the name they hash to, so that only what they say can be wrong."""
    path = folder / f"{hashlib.blake2b(raw, digest_size=16).hexdigest()}.safetensors"
    path.write_bytes(raw)
    return path


def crafted(keys: Any = None, vectors: Any = None, *, data: bytes = bytes(2 * 28), **more: Any) -> bytes:
    """A shard of two rows with entries of its header replaced."""
    entries = {
        "vectors": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]} | (vectors or {}),
        "keys": {"dtype": "U8", "shape": [2, 16], "data_offsets": [24, 56]} | (keys or {}),
        **more,
    }
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + data


def test_a_shard_says_what_was_written(tmp_path: Path) -> None:
    path = write_shard(tmp_path, raw_keys(*NAMES), rows(3), "vectors")
    assert is_shard(path.name)
    for read in (read_shard, check_shard):
        head, halves = read(path, "vectors")
        assert (head.rows, head.shape, head.dtype, head.size) == (3, (3,), np.float32, path.stat().st_size)
        assert halves.tobytes() == keys(*NAMES).tobytes()


def test_the_crafted_shard_would_be_read(tmp_path: Path) -> None:
    assert read_shard(whole_name(tmp_path, crafted()), "vectors")[0].rows == 2


CRAFTED = {
    "empty": b"",
    "short": b"\x01\x00",
    "no header": (0).to_bytes(8, "little") + bytes(60),
    "endless header": (1 << 60).to_bytes(8, "little") + bytes(60),
    "no JSON": (5).to_bytes(8, "little") + b"\xff\xfe{}}" + bytes(56),
    "deep JSON": (4000).to_bytes(8, "little") + b"[" * 4000 + bytes(56),
    "a list": (2).to_bytes(8, "little") + b"[]" + bytes(56),
    "a number": (2).to_bytes(8, "little") + b"12" + bytes(56),
    "keys no dict": crafted(more=1).replace(b'"keys": {', b'"none": {'),
    "wrong dtype": crafted(vectors={"dtype": "I32"}),
    "unknown dtype": crafted(vectors={"dtype": ["F32"]}),
    "dtype of keys": crafted(keys={"dtype": "F32"}),
    "offsets beyond the file": crafted(keys={"data_offsets": [1024, 1056]}),
    "offsets overlap": crafted(keys={"data_offsets": [0, 32]}),
    "offsets backwards": crafted(vectors={"data_offsets": [24, 0]}),
    "offsets negative": crafted(vectors={"data_offsets": [-24, 0]}),
    "offsets no pair": crafted(vectors={"data_offsets": [0]}),
    "offsets no numbers": crafted(vectors={"data_offsets": ["0", "24"]}),
    "shape negative": crafted(vectors={"shape": [-2, -3]}),
    "shape of nothing": crafted(vectors={"shape": [2, 0], "data_offsets": [0, 0]}),
    "shape too flat": crafted(vectors={"shape": [6]}),
    "shape huge": crafted(vectors={"shape": [2**62, 2**62]}),
    "shape no numbers": crafted(vectors={"shape": [2.0, 3.0]}),
    "keys too short": crafted(keys={"shape": [4, 8]}),
    "more keys than rows": crafted(vectors={"shape": [3, 2]}),
    "a gap behind": crafted(data=bytes(60)),
}


@pytest.mark.parametrize("what", CRAFTED)
def test_a_shard_that_lies_under_its_right_name_is_refused(tmp_path: Path, what: str) -> None:
    path = whole_name(tmp_path, CRAFTED[what])
    with pytest.raises(DamagedShardError, match=path.name):
        read_shard(path, "vectors")
    said: list[str] = []
    store = VectorStore(tmp_path, warn=said.append)
    assert store.find(keys("x")).tolist() == [-1]
    assert len(said) == 1
    assert path.with_suffix(".damaged").is_file()


def test_a_key_that_stands_twice_in_a_shard_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path, raw_keys("a", "b", "a"), rows(3), "vectors")
    said: list[str] = []
    assert VectorStore(tmp_path, warn=said.append).find(keys("a", "b")).tolist() == [-1, -1]
    assert "a key stands twice" in said[0]


def test_a_shard_of_scores_is_no_shard_of_vectors(tmp_path: Path) -> None:
    path = write_shard(tmp_path, raw_keys("a"), np.zeros(1, np.float32), "scores")
    with pytest.raises(DamagedShardError, match="holds no 'vectors'"):
        read_shard(path, "vectors")


def test_every_single_flipped_bit_is_found(tmp_path: Path) -> None:
    kept = rows(3)
    path = write_shard(tmp_path, raw_keys(*NAMES), kept, "vectors")
    sound = path.read_bytes()
    for at in range(len(sound)):
        for bit in (0, 6):
            raw = bytearray(sound)
            raw[at] ^= 1 << bit
            path.write_bytes(raw)
            said: list[str] = []
            store = VectorStore(tmp_path, warn=said.append)
            assert store.find(keys(*NAMES)).tolist() == [-1, -1, -1], at
            assert len(said) == 1
            assert path.name in said[0]
            assert "embedded again" in said[0]
    assert not shards(tmp_path)


def test_every_truncation_is_found(tmp_path: Path) -> None:
    path = write_shard(tmp_path, raw_keys(*NAMES), rows(3), "vectors")
    sound = path.read_bytes()
    for length in range(len(sound)):
        path.write_bytes(sound[:length])
        said: list[str] = []
        assert VectorStore(tmp_path, warn=said.append).find(keys(*NAMES)).tolist() == [-1, -1, -1], length
        assert len(said) == 1


def test_damage_costs_one_shard_and_is_made_good(tmp_path: Path) -> None:
    kept = rows(4)
    store = VectorStore(tmp_path)
    for at in (0, 2):
        store.append(keys("abcd"[at], "abcd"[at + 1]), kept[at : at + 2])
    (victim,) = [p for p in shards(tmp_path) if keys("a").tobytes() in p.read_bytes()]
    sound = victim.read_bytes()
    victim.write_bytes(sound[:20] + bytes([sound[20] ^ 8]) + sound[21:])
    said: list[str] = []
    again = VectorStore(tmp_path, warn=said.append)
    found = again.find(keys(*"abcd"))
    assert (found < 0).tolist() == [True, True, False, False]
    np.testing.assert_array_equal(again.vectors(found[2:]).gather(), kept[2:])
    again.append(keys("a", "b"), kept[:2])
    assert victim.read_bytes() == sound, "the same shard, under the same name"
    for opened in (again, VectorStore(tmp_path, warn=said.append)):
        np.testing.assert_array_equal(opened.vectors(opened.find(keys(*"abcd"))).gather(), kept)
    assert len(said) == 1


def test_damage_to_what_another_run_just_wrote_is_not_taken_for_present(tmp_path: Path) -> None:
    mine, kept = VectorStore(tmp_path, warn=lambda line: None), rows(2)
    VectorStore(tmp_path).append(keys("a", "b"), kept)
    (path,) = shards(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[-40] ^= 1
    path.write_bytes(raw)
    mine.append(keys("a", "b"), kept)
    np.testing.assert_array_equal(mine.vectors(mine.find(keys("b", "a"))).gather(), kept[::-1])


def test_a_key_flipped_into_one_that_is_asked_for_is_no_answer(tmp_path: Path) -> None:
    path = write_shard(tmp_path, raw_keys("a"), rows(1), "vectors")
    path.write_bytes(path.read_bytes().replace(keys("a").tobytes(), keys("b").tobytes()))
    assert VectorStore(tmp_path).find(keys("b")).tolist() == [-1]


def test_a_shard_of_other_width_than_the_rest_is_set_aside(tmp_path: Path) -> None:
    VectorStore(tmp_path).append(keys("a", "b"), rows(2, dim=3))
    odd = write_shard(tmp_path, raw_keys("c"), rows(1, dim=5), "vectors")
    said: list[str] = []
    store = VectorStore(tmp_path, warn=said.append)
    assert (store.find(keys("a", "c", "b")) < 0).tolist() == [False, True, False]
    (line,) = said
    assert f"{odd.name}: vectors of length 5 where the others have 3; kept as {odd.stem}.damaged" in line


def test_a_shard_that_cannot_be_read_now_stays(tmp_path: Path) -> None:
    (tmp_path / f"{'0' * 32}.safetensors").mkdir()
    with pytest.raises(UnreadableShardError, match="cannot be read"):
        read_shard(tmp_path / f"{'0' * 32}.safetensors", "vectors")
    said: list[str] = []
    store = VectorStore(tmp_path, warn=said.append)
    assert store.find(keys("a")).tolist() == [-1]
    assert "left as it is" in said[0]
    store.append(keys("a"), rows(1))
    assert store.find(keys("a")).tolist() == [0]


def test_a_shard_that_another_run_set_aside_is_missing(tmp_path: Path) -> None:
    VectorStore(tmp_path).append(keys("a"), rows(1))
    said: list[str] = []
    store = VectorStore(tmp_path, warn=said.append)
    shards(tmp_path)[0].rename(tmp_path / "gone")
    assert store.find(keys("a")).tolist() == [-1]
    assert "it vanished" in said[0]
    store.append(keys("a"), rows(1))
    assert store.find(keys("a")).tolist() == [1]


def test_files_of_other_names_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"somebody's")
    (tmp_path / ".0123456789abcdef.tmp").write_bytes(b"half a shard")
    assert VectorStore(tmp_path).find(keys("a")).tolist() == [-1]
    assert len(list(tmp_path.glob("[!.]*"))) == 1, "left where it is"


@pytest.mark.parametrize("call", ["fsync", "open", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_what_cannot_be_written_is_one_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    store = VectorStore(tmp_path)
    store.append(keys("a"), rows(1))
    before = sorted(tmp_path.iterdir())

    def refuse(*args: object, **more: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(
            *{"fsync": (os, "fsync"), "open": (Path, "open"), "replace": (Path, "replace")}[call], refuse
        )
        with pytest.raises(StoreError) as error:
            store.append(keys("b"), rows(1, seed=1))
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    assert str(tmp_path) in lines[0]
    assert os.strerror(code) in lines[0]
    assert "--cache" in lines[1]
    assert "--no-cache" in lines[1]
    assert sorted(tmp_path.iterdir()) == before
    assert store.find(keys("a", "b")).tolist() == [0, -1]
    store.append(keys("b"), rows(1, seed=1))
    assert store.find(keys("b")).tolist() == [1], "as soon as there is room again"


def test_a_folder_that_takes_no_file_at_all_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    VectorStore(tmp_path).append(keys("a"), rows(1))
    opened = os.open

    def refuse(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) and Path(path).parent == tmp_path:
            raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, *rest, **more)

    (tmp_path / ".lock").unlink()
    monkeypatch.setattr(os, "open", refuse)
    store = VectorStore(tmp_path)
    assert store.find(keys("a")).tolist() == [0], "reading goes on"
    with pytest.raises(StoreError, match="Read-only file system"):
        store.append(keys("b"), rows(1))


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from harness.engine.vectors import VectorStore, text_keys
from harness.errors import StoreError
from harness.types import Texts
store = VectorStore(Path(sys.argv[1]))
store.append(text_keys(Texts(["a"])), np.ones((1, 8), np.float32))
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    store.append(text_keys(Texts(["b"])), np.ones((1, 8), np.float32))
    store.append(text_keys(Texts([str(i) for i in range(500)])), np.ones((500, 8), np.float32))
except StoreError as error:
    print(error)
"""


def test_a_write_that_the_system_cuts_off_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "cannot write the vector cache" in done.stdout
    assert len(shards(tmp_path)) == 2
    assert not list(tmp_path.glob(".*.tmp"))
    assert (VectorStore(tmp_path).find(keys("a", "b", "0")) >= 0).tolist() == [True, True, False]


WRITER = """
import sys
from pathlib import Path
import numpy as np
from harness.engine.vectors import VectorStore, text_keys
from harness.types import Texts
store, start = VectorStore(Path(sys.argv[1])), int(sys.argv[2])
for number in range(start, start + 10_000):
    n = 1 + number % 40
    texts = Texts([f"{number}-{i}" for i in range(n)])
    store.append(text_keys(texts), np.full((n, 4096), number, np.float32))
    print(number, flush=True)
"""


def test_a_kill_at_any_instant_leaves_only_whole_shards(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for attempt in range(6):
        start = attempt * 10_000
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(start)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == f"{start}\n"
            time.sleep(float(random.uniform(0.001, 0.08)))
            writer.kill()
            said = [start, *map(int, writer.stdout.read().split())]
        for path in shards(tmp_path):
            check_shard(path, "vectors")
        store = VectorStore(tmp_path, warn=pytest.fail)
        for number in said:
            found = store.find(keys(*(f"{number}-{i}" for i in range(1 + number % 40))))
            assert (store.vectors(found).gather() == number).all(), "durable once append had returned"
        before = time.monotonic()
        store.append(keys(f"after {attempt}"), np.zeros((1, 4096), np.float32))
        assert time.monotonic() - before < 5, "the lock died with its process"
