"""The results store: one JSON a task that mteb can read, per-example values beside it, failures apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import StoreError
from harness.paths import write_atomic
from harness.store.files import (
    FAILED,
    META,
    CorruptFileError,
    Place,
    folder_of,
    folders,
    place_of,
    previous,
    read_or_set_aside,
    samples_file,
    sha256_file,
    task_file,
    writing,
)
from harness.store.format import SCHEMA, Document, decode, encode, merged, results_of
from harness.store.meta import model_meta
from harness.types import Result

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """A task entry that could not be scored, and the error it ended with."""

    model: str
    revision: str | None
    variant: tuple[str, ...]
    protocol: str
    task: str
    split: str
    subset: str
    error: str


class Store:
    """Results under one folder, `<model>/<revision>[+<variant>...]/[<protocol>/]<Task>.json`.

    Every write is atomic and merges under a lock, so any number of processes may write. A file that
    cannot be read is renamed to `<name>.corrupt`, named in `problems`, and never stops the others.

    Args:
        root: the folder; made by the first write.
        repair: False leaves corrupt files where they are (other people's results): they are only named.

    Attributes:
        problems: what was found wrong in the folder so far, a line each, ready for the user.
    """

    def __init__(self, root: str | Path, *, repair: bool = True) -> None:
        self.root = Path(root).expanduser()
        self.repair = repair
        self.problems: list[str] = []

    def put(self, result: Result) -> Path:
        """Store a result and return its file. Per-example values come first, then the JSON with their hash.

        Entries of other splits and subsets stay; a failure recorded for this one is removed. The same
        result gives the same bytes.

        Raises:
            StoreError: no finite main score, a name that cannot be a path, a folder that cannot be written.
        """
        place = Place(result.model, result.revision, result.variant, result.protocol)
        path = self.root / folder_of(place) / task_file(result.task)
        samples = path.with_name(samples_file(result.task, result.split, result.subset))
        merged(None, result, None)
        data = None if result.samples is None else _parquet(result.samples)
        with writing(path):
            document = self._load(path, place, locked=True)
            sha256 = _put_samples(samples, data, result, document)
            write_atomic(path, encode(merged(document, result, sha256)))
            previous(samples).unlink(missing_ok=True)
            self._forget_failure(_failed(path), result.split, result.subset)
        return path

    def get(
        self,
        model: str,
        revision: str | None,
        variant: tuple[str, ...],
        protocol: str,
        task: str,
        split: str,
        subset: str,
    ) -> Result | None:
        """The stored result of one entry, or None. `metrics` are rounded as stored; `exact` are not."""
        place = Place(model, revision, variant, protocol)
        document = self._load(self.root / folder_of(place) / task_file(task), place)
        for result in results_of(document, place, task) if document else ():
            if (result.split, result.subset) == (split, subset):
                return result
        return None

    def results(
        self, tasks: Container[str] | None = None, models: Container[str] | None = None
    ) -> Iterator[Result]:
        """Every result under the root in the order of its paths; names limit which files are read."""
        for path, place in self._files(models):
            task = path.name.removesuffix(".json")
            if path.name.endswith(FAILED) or (tasks is not None and task not in tasks):
                continue
            document = self._load(path, place)
            if document is not None:
                yield from results_of(document, place, task, partial(self._problem_at, path))

    def samples(self, result: Result) -> pa.Table:
        """The per-example values of a result, their hash checked.

        Raises:
            StoreError: the file is missing, or is not the one that was scored.
        """
        if result.samples is not None:
            return result.samples
        place = Place(result.model, result.revision, result.variant, result.protocol)
        path = self.root / folder_of(place) / samples_file(result.task, result.split, result.subset)
        if result.samples_sha256 is None:
            raise StoreError(f"no per-example values are stored for {result.task} in {path.parent}")
        for candidate in (path, previous(path)):
            raw = candidate.read_bytes() if candidate.is_file() else b""
            if hashlib.sha256(raw).hexdigest() == result.samples_sha256:
                return _table(raw)
        what = "is not the file that its result names (SHA-256 differs)" if path.is_file() else "is missing"
        raise StoreError(f"{path} {what}; score the task again")

    def fail(
        self,
        model: str,
        revision: str | None,
        variant: tuple[str, ...],
        protocol: str,
        task: str,
        split: str,
        subset: str,
        error_text: str,
    ) -> Path:
        """Record in `<Task>.failed.json` why an entry has no score; a later `put` of the entry removes it."""
        path = self.root / folder_of(Place(model, revision, variant, protocol)) / task_file(task)
        failed = _failed(path)
        with writing(failed):
            failures = self._read(failed, failures_in, locked=True) or {}
            failures.setdefault(split, {})[subset] = error_text
            write_atomic(failed, encode({"schema": SCHEMA, "failures": failures}))
        return failed

    def models(self) -> list[str]:
        """The models that have a folder here, sorted."""
        return sorted({place_of([home.parent.name, home.name]).model for home in self._revisions()})

    def failures(self) -> list[Failure]:
        """Every recorded failure, in the order of the paths."""
        return [
            Failure(*place, task=path.name.removesuffix(FAILED), split=split, subset=subset, error=error)
            for path, place in self._files()
            if path.name.endswith(FAILED)
            for split, subsets in (self._read(path, failures_in) or {}).items()
            for subset, error in subsets.items()
        ]

    def write_model_meta(self, card: Mapping[str, Any], variant: tuple[str, ...] = ()) -> Path:
        """Write `model_meta.json` (mteb's ModelMeta fields, null where unknown) into the revision folder."""
        place = Place(card["name"], card.get("revision"), variant)
        path = self.root / folder_of(place) / META
        with writing(path):
            write_atomic(path, encode(model_meta(card, variant)))
        return path

    def model_metas(self) -> dict[str, dict[str, Any]]:
        """What the `model_meta.json` files say of each model, nulls left out; the first to say it counts."""
        models: dict[str, dict[str, Any]] = {}
        for revision in self._revisions():
            meta = self._read(revision / META, object_in) or {}
            known = models.setdefault(place_of([revision.parent.name, revision.name]).model, {})
            for name, value in meta.items():
                if value is not None:
                    known.setdefault(name, value)
        return models

    def _forget_failure(self, failed: Path, split: str, subset: str) -> None:
        failures = self._read(failed, failures_in, locked=True) or {}
        if failures.get(split, {}).pop(subset, None) is None:
            return
        left = {name: subsets for name, subsets in failures.items() if subsets}
        if left:
            write_atomic(failed, encode({"schema": SCHEMA, "failures": left}))
        else:
            failed.unlink(missing_ok=True)

    def _revisions(self) -> list[Path]:
        if self.root.is_file():
            raise StoreError(f"{self.root} is a file, not a folder of results")
        return [revision for model in folders(self.root) for revision in folders(model)]

    def _files(self, models: Container[str] | None = None) -> Iterator[tuple[Path, Place]]:
        for revision in self._revisions():
            if models is not None and place_of([revision.parent.name, revision.name]).model not in models:
                continue
            for home in (revision, *folders(revision)):
                place = place_of(list(home.relative_to(self.root).parts))
                for path in sorted(home.glob("*.json")):
                    if not path.name.startswith(".") and path.name != META:
                        yield path, place

    def _load(self, path: Path, place: Place, *, locked: bool = False) -> Document | None:
        """The document at `path`; None where there is none, or none that can be read (then in `problems`)."""
        task = path.name.removesuffix(".json")

        def parse(raw: bytes) -> Document:
            return checked(decode(raw), place, task)

        return self._read(path, parse, locked)

    def _read(self, path: Path, parse: Callable[[bytes], T], locked: bool = False) -> T | None:
        return read_or_set_aside(path, parse, self._problem, repair=self.repair, locked=locked)

    def _problem_at(self, path: Path, line: str) -> None:
        self._problem(f"{path} {line}")

    def _problem(self, line: str) -> None:
        if line not in self.problems:
            self.problems.append(line)


def checked(document: Document, place: Place, task: str) -> Document:
    """The document, if it is what its path says. Raises StoreError."""
    ours = document.get("harness", {"task": task, "protocol": "mteb"})
    if (ours["task"], ours["protocol"]) != (task, place.protocol):
        raise StoreError(f"holds {ours['task']} under protocol {ours['protocol']}: not what its path says")
    return document


def _put_samples(path: Path, data: bytes | None, result: Result, document: Document | None) -> str | None:
    """Write the per-example values, return their hash; those the JSON on disk names stay as `previous`."""
    on_disk = sha256_file(path)
    if data is None:
        return on_disk if on_disk == result.samples_sha256 else None
    sha256 = hashlib.sha256(data).hexdigest()
    entries = document.get("harness", {}).get("entries", {}) if document else {}
    named = entries.get(result.split, {}).get(result.subset, {}).get("samples_sha256")
    if named is not None and named == on_disk != sha256:
        path.replace(previous(path))
    write_atomic(path, data)
    return sha256


def _parquet(table: pa.Table) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table.combine_chunks(), sink, compression="zstd")
    return bytes(sink.getvalue())


def _table(raw: bytes) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(raw))


def _failed(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".json") + FAILED)


def failures_in(raw: bytes) -> dict[str, dict[str, str]]:
    """Split to subset to error, of a `.failed.json`. Raises CorruptFileError."""
    failures = object_in(raw).get("failures")
    if not isinstance(failures, dict) or not all(isinstance(subsets, dict) for subsets in failures.values()):
        raise CorruptFileError("not a record of failures")
    return failures


def object_in(raw: bytes) -> dict[str, Any]:
    """The JSON object in the bytes. Raises CorruptFileError."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise CorruptFileError("not a JSON object")
    return value
