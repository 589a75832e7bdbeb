"""How long the vector store takes to open and to answer, by number of keys; prints Markdown.

    python -m benchmarks.store_keys --keys 10000000 --shard 1024

Writes a namespace of random keys in a temporary folder, then opens it in a process of its own, so that the
memory it reports is that of the store.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save

LOOKED_UP = 1_000_000


def main() -> None:
    """Measure each shard size and print one row for it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--keys", type=int, default=10_000_000)
    parser.add_argument("--shard", type=int, action="append", help="rows a shard; repeatable")
    parser.add_argument("--dim", type=int, default=8, help="length of a vector")
    parser.add_argument("--folder", type=Path, help="where to write (default: the temporary folder)")
    parser.add_argument("--opened", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.opened:
        print(json.dumps(_measure(given.opened, given.keys)))
        return
    print(
        "| keys | shards | open s | again (refresh) ms | 1 M present s | 1 M found and checked s "
        "| 1 M found again s | bytes/key at rest | bytes/key at peak |\n|" + "---:|" * 9
    )
    for rows in given.shard or [1024, 1_000_000]:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            shards = _write(Path(folder), given.keys, rows, given.dim)
            command = [sys.executable, "-m", "benchmarks.store_keys", "--keys", str(given.keys)]
            done = subprocess.run([*command, "--opened", folder], capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        print(f"| {given.keys:,} | {shards:,} | " + " | ".join(f"{v:.3g}" for v in found.values()) + " |")


def _keys(numbers: np.ndarray) -> np.ndarray:
    """Keys [n, 16] as evenly spread as hashes are, each from its number alone."""
    x = numbers.astype(np.uint64)[:, None] * np.uint64(2) + np.arange(2, dtype=np.uint64)
    x += np.uint64(0x9E3779B97F4A7C15)  # splitmix64 (Steele et al., 2014)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return (x ^ (x >> np.uint64(31))).view(np.uint8).reshape(-1, 16)


def _write(folder: Path, keys: int, rows: int, dim: int) -> int:
    """Shards as the store writes them, without waiting for the disk at each."""
    count = 0
    for start in range(0, keys, rows):
        own = _keys(np.arange(start, min(start + rows, keys)))
        raw = save({"keys": own, "vectors": np.zeros((len(own), dim), np.float32)})
        (folder / f"{hashlib.blake2b(raw, digest_size=16).hexdigest()}.safetensors").write_bytes(raw)
        count += 1
    return count


def _measure(folder: Path, keys: int) -> dict[str, float]:
    from harness.engine.vectors import VectorStore

    asked = np.random.default_rng(0).integers(0, 2 * keys, LOOKED_UP)  # half of them are there
    needles = _keys(asked).view("S16").ravel()
    found: dict[str, float] = {}
    before = _anonymous()
    peak = [before]
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(done, peak))
    watcher.start()
    started = time.perf_counter()
    store = VectorStore(folder)
    found["open"] = time.perf_counter() - started
    done.set()
    watcher.join()
    rest = _anonymous()
    started = time.perf_counter()
    store.refresh()
    found["refresh"] = (time.perf_counter() - started) * 1e3
    for name, look in (("present", store.present), ("checked", store.find), ("again", store.find)):
        started = time.perf_counter()
        answer = look(needles)
        found[name] = time.perf_counter() - started
        assert 0.45 < np.mean(answer if answer.dtype == bool else answer >= 0) < 0.55
    return {**found, "rest": (rest - before) / keys, "peak": (max(peak) - before) / keys}


def _watch(done: threading.Event, peak: list[int]) -> None:
    while not done.wait(0.005):
        peak.append(_anonymous())


def _anonymous() -> int:
    """Anonymous memory of this process (RssAnon), in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("/proc/self/status has no RssAnon: this benchmark runs on Linux")


if __name__ == "__main__":
    main()
