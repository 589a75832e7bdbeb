"""What makes a model the same model: one SHA-256 over everything that changes a vector.

Hashing gigabytes at each start would be slow, so hashes are remembered by path, size and time of change.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.models.checkpoint import TOKENIZER_FILES, Checkpoint
from harness.models.tokenizer import probe_ids, raw_token_ids

# A file changed this recently could change again without its time or size showing it.
_RACY_NS = 2_000_000_000
_log = logging.getLogger(__name__)


def fingerprint(ingredients: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over JSON-ready ingredients, whatever their order."""
    text = json.dumps(ingredients, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def checkpoint_fingerprint(
    checkpoint: Checkpoint, settings: Mapping[str, Any], tokenizer_type: str | None, memo: Memo
) -> str:
    """Fingerprint of a checkpoint under `settings` (adapter, backend, pooling, dtype, max length ...)."""
    hashes = memo.hashes(checkpoint.folder, checkpoint.files)
    tokens = memo.token_ids(checkpoint, tokenizer_type, hashes)
    return fingerprint({"files": hashes, "token_ids": tokens, **settings})


def local_revision(checkpoint: Checkpoint, memo: Memo) -> str:
    """First 12 hex digits of the hash over weights, config, tokenizer and modules."""
    return fingerprint({"files": memo.hashes(checkpoint.folder, checkpoint.files)})[:12]


class Memo:
    """Remembered hashes, in `<cache>/models/hashes.json`.

    Args:
        cache: the cache folder; None remembers nothing.
    """

    def __init__(self, cache: Path | None) -> None:
        self._path = cache / "models" / "hashes.json" if cache else None

    def hashes(self, folder: Path, names: Sequence[str]) -> dict[str, str]:
        """SHA-256 (hex) of files, by their name relative to `folder`."""
        return {name: self._file(folder / name) for name in names}

    def token_ids(
        self, checkpoint: Checkpoint, tokenizer_type: str | None, hashes: Mapping[str, str]
    ) -> list[list[int]]:
        """Token ids of PROBES; remembered by the tokenizer's files and the libraries' versions.

        Where there is a tokenizer.json its own ids are taken, without importing transformers; that what
        transformers builds answers the same is checked when the weights are loaded.
        """
        raw = (checkpoint.transformer / "tokenizer.json").is_file()
        files = {n: h for n, h in hashes.items() if n.rpartition("/")[2] in (*TOKENIZER_FILES, "config.json")}
        libraries = ["tokenizers"] if raw else ["tokenizers", "transformers"]
        key = fingerprint(
            {"files": files, "type": tokenizer_type, **{lib: version(lib) for lib in libraries}}
        )

        def compute() -> list[list[int]]:
            folder = checkpoint.transformer
            return raw_token_ids(folder) if raw else probe_ids(folder, tokenizer_type)

        ids: list[list[int]] = self._remember("tokens", key, None, compute)
        return ids

    def _file(self, path: Path) -> str:
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        keep = time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _RACY_NS
        found: str = self._remember("files", str(path.resolve()), stamp, lambda: _sha256(path), keep=keep)
        return found

    def _remember(
        self, table: str, key: str, stamp: Any, compute: Callable[[], Any], *, keep: bool = True
    ) -> Any:
        known = self._read().get(table, {}).get(key)
        if known and known[0] == stamp:
            return known[1]
        value = compute()
        if self._path and keep:
            self._write(table, key, [stamp, value])
        return value

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8")) if self._path else {}
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self, table: str, key: str, entry: list[Any]) -> None:
        """Add one entry, losing none that another process adds; a memo that cannot be kept is no error."""
        assert self._path is not None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self._path.with_suffix(".lock")):
                content = self._read()
                content.setdefault(table, {})[key] = entry
                handle, name = tempfile.mkstemp(dir=self._path.parent, suffix=".tmp")
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(content, file)
                Path(name).replace(self._path)
        except OSError as error:
            _log.debug("hashes are not remembered: %s", error)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
