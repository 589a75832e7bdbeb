"""The file layout of task data: `<folder>/<Task>/<split>[.<subset>][.<part>].(jsonl|parquet)`.

What `--data DIR` reads. A task folder defines the task's splits and subsets; `manifest.json` beside the
files names kind, main metric, source and the SHA-256 of every file, which is checked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.build import FIELDS, LABELLED, RANKING, build
from harness.data.examples import Examples
from harness.data.rows import Columns, read_columns
from harness.errors import DataError, MissingSplitError
from harness.paths import decode_part, encode_part

PARTS = ("corpus", "queries", "qrels", "candidates")
NEEDED = ("corpus", "queries", "qrels")
SUFFIXES = (".jsonl", ".parquet")


@dataclass(frozen=True)
class Folder:
    """A task folder.

    Attributes:
        path: the folder.
        manifest: what `manifest.json` says, or an empty mapping.
        names: names of the data files in it.
    """

    path: Path
    manifest: Mapping[str, Any]
    names: tuple[str, ...]

    @property
    def revision(self) -> str:
        """`local:` and 12 hex digits over the files' names and SHA-256s."""
        digests = "".join(f"{name}:{sha256(self.path / name)}\n" for name in self.names)
        return f"local:{hashlib.sha256(digests.encode()).hexdigest()[:12]}"


def find_folder(task: str, roots: Iterable[Path]) -> Folder | None:
    """The first root's folder for a task, or None. Raises DataError for a manifest that is no JSON."""
    if not task or task in (".", "..") or "/" in task or "\\" in task:
        return None
    for root in roots:
        if not root.is_dir():
            raise DataError(f"data folder {root} does not exist; check --data and HARNESS_DATA")
        path = root / task
        if path.is_dir():
            return open_folder(path)
    return None


def by_hand(root: Path, task: str) -> bool:
    """Whether a folder holds a task that `harness prefetch` did not write."""
    path = root / task
    plain = task not in (".", "..") and "/" not in task and "\\" not in task
    return plain and path.is_dir() and "rendered" not in read_manifest(path)


def read_manifest(path: Path) -> dict[str, Any]:
    """What `manifest.json` of a task folder says; empty where there is none. Raises DataError."""
    manifest: dict[str, Any] = {}
    if (path / "manifest.json").is_file():
        try:
            manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise DataError(f"{path / 'manifest.json'}: not readable JSON ({error})") from error
        if not isinstance(manifest, dict) or not isinstance(manifest.get("files", {}), dict):
            raise DataError(f"{path / 'manifest.json'}: must be an object with a 'files' object")
        if not isinstance(manifest.get("rendered", {}), dict):
            raise DataError(f"{path / 'manifest.json'}: 'rendered' must be an object")
        spoken = manifest.get("languages", [])
        if not isinstance(spoken, list) or not all(isinstance(language, str) for language in spoken):
            raise DataError(f"{path / 'manifest.json'}: 'languages' must be a list of strings")
    return manifest


def open_folder(path: Path) -> Folder:
    """Read a task folder's manifest and list its data files."""
    manifest = read_manifest(path)
    names = sorted(p.name for p in path.iterdir() if p.suffix in SUFFIXES and not p.name.startswith("."))
    for listed in manifest.get("files", {}):
        if listed not in names:
            raise DataError(f"{path / listed}: listed in manifest.json but not there")
    if not names:
        raise DataError(f"{path}: holds no .jsonl or .parquet file")
    return Folder(path, manifest, tuple(names))


def entries(folder: Folder, kind: str) -> list[tuple[str, str]]:
    """The (split, subset) pairs a folder holds for a kind, in file-name order."""
    found: dict[tuple[str, str], None] = {}
    for name in folder.names:
        split, subset, _ = _parse(name, kind)
        found[split, subset] = None
    return list(found)


def load(
    folder: Folder,
    kind: str,
    split: str,
    subset: str,
    *,
    train_split: str = "train",
    columns: Mapping[str, str] | None = None,
    document: str | None = None,
    corpus_split: str | None = None,
) -> Examples:
    """Examples of one split and subset of a task folder.

    Args:
        corpus_split: whose corpus to take where the split has none of its own.
        columns, document: field names and text template; files that `harness prefetch` wrote need neither.

    Raises:
        MissingSplitError: the folder has no file of the split.
        DataError: a file is missing, differs from the manifest, or holds a bad row (file and line).
    """
    rendered = folder.manifest.get("rendered")
    if rendered is not None:
        if document not in (None, rendered.get("document")):
            raise DataError(
                f"{folder.path}: its documents were written by the template {rendered.get('document')!r}, "
                f"not {document!r}; fetch the task into another folder"
            )
        if columns and dict(columns) != rendered.get("columns", columns):
            raise DataError(
                f"{folder.path}: its rows were read by columns {rendered['columns']}, not {dict(columns)}; "
                "fetch the task into another folder"
            )
        columns = document = None
    files: dict[tuple[str, str, str], Path] = {}
    for name in folder.names:
        path = folder.path / name
        if files.setdefault(_parse(name, kind), path) != path:
            raise DataError(
                f"{path}: {files[_parse(name, kind)].name} beside it says the same split; remove one"
            )
    if kind in RANKING:
        wanted = {part: (split, subset, part) for part in PARTS}
        if corpus_split and wanted["corpus"] not in files:
            wanted["corpus"] = (corpus_split, subset, "corpus")
    else:
        wanted = {"rows": (split, subset, "")}
        if kind in LABELLED:
            wanted["train"] = (train_split, subset, "")
    paths: dict[str, Path] = {}
    for part, key in wanted.items():
        if key in files:
            paths[part] = files[key]
        elif part != "candidates" or kind != "retrieval":
            label = ".".join(x for x in (key[0], "" if subset == "default" else subset, key[2]) if x)
            there = ", ".join(folder.names)
            none = all(key[:2] != (split, subset) for key in files)
            raise (MissingSplitError if none else DataError)(
                f"{folder.path}: no {label}.jsonl or .parquet, which kind {kind} needs\n"
                f"the folder holds: {there}"
            )
    parts: dict[str, Columns] = {}
    for part, path in paths.items():
        _check_hash(folder, path)
        fields = FIELDS[part if kind in RANKING else kind]
        parts[part] = read_columns(path, fields, columns, packed=part == "corpus")
    return build(kind, parts, {part: str(path) for part, path in paths.items()}, document)


def _parse(name: str, kind: str) -> tuple[str, str, str]:
    """File name to (split, subset, part); the part is empty outside the ranking kinds."""
    pieces = name.rsplit(".", 1)[0].split(".")
    part = pieces.pop() if kind in RANKING and len(pieces) > 1 and pieces[-1] in PARTS else ""
    split = decode_part(pieces[0])
    subset = decode_part(pieces[1]) if len(pieces) > 1 else "default"
    if len(pieces) > 2:
        raise DataError(f"{name}: a dot inside a split or subset name must be written %2E")
    return split, subset, part


def place(name: str, kind: str) -> tuple[str, str]:
    """The (split, subset) that a file of a kind belongs to. Raises DataError."""
    return _parse(name, kind)[:2]


def parts(kind: str) -> tuple[str, ...]:
    """What every entry of a kind is read from: parts of ranking kinds, else rows and training rows."""
    if kind in RANKING:
        return NEEDED if kind == "retrieval" else PARTS
    return ("rows", "train") if kind in LABELLED else ("rows",)


def stem(split: str, subset: str, part: str = "") -> str:
    """The name of a file without its suffix; the inverse of what reading takes apart."""
    own = "" if subset == "default" else encode_part(subset)
    return ".".join(piece for piece in (encode_part(split), own, part) if piece)


def _check_hash(folder: Folder, path: Path) -> None:
    listed = folder.manifest.get("files")
    if listed is None:
        return
    if path.name not in listed:
        raise DataError(
            f"{path}: not listed in manifest.json beside it; add its SHA-256 or remove the manifest"
        )
    if sha256(path) != listed[path.name]:
        raise DataError(
            f"{path}: differs from the SHA-256 in manifest.json; fetch it again or correct the manifest"
        )


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_parts(folder: Folder) -> bool:
    """Whether a folder of a ranking kind holds a corpus, queries ... rather than rows with candidates."""
    return any(_parse(name, RANKING[0])[2] for name in folder.names)


def holds_sets(folder: Folder) -> bool:
    """Whether a clustering folder's first row is a whole set of sentences rather than one sentence."""
    first = read_columns(folder.path / folder.names[0], FIELDS["clustering"])["sentences"][0]
    return not isinstance(first, str)
