"""`harness cache list | verify | prune`."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import common
from harness.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from harness.engine.lists import KeptLists
    from harness.engine.upkeep import Health, Namespace, Pruned

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

DryRun = Annotated[bool, typer.Option("--dry-run", help="Remove nothing; say what would go.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    verbs = typer.Typer(help="The store of vectors, pair scores and candidate lists.", no_args_is_help=True)
    verbs.command("list")(list_)
    verbs.command("verify")(verify)
    verbs.command("prune")(prune)
    app.add_typer(verbs, name="cache")


def list_(cache: common.Cache = None, json: common.Json = False) -> None:
    """List what the cache holds: one line a model fingerprint (candidates: of a first stage)."""
    from harness.engine import lists
    from harness.engine.upkeep import inventory
    from harness.paths import cache_folder

    root = cache_folder(cache)
    rows = inventory(root) + lists.inventory(root)
    if json:
        common.answer_json({"cache": str(root), "namespaces": rows})
        return
    common.answer(f"cache: {root}")
    if rows:
        headers = ["kind", "fingerprint", "model", "shards", "size", "leftovers", "last used"]
        cells = [
            [r["kind"], r["fingerprint"][:16] or "-", r["model"] or "-", str(r["shards"]), _size(r["bytes"]),
             _size(r["leftover_bytes"]) if r["leftover_bytes"] else "-", _day(r["used"])]
            for r in rows
        ]  # fmt: skip
        common.answer(common.table(headers, cells))


def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Set bad files aside; what they held is made again.")
    ] = False,
    cache: common.Cache = None,
    json: common.Json = False,
) -> None:
    """Read everything the cache holds and check it against its checksums; exit code 1 if any is bad."""
    from harness.engine import lists, upkeep
    from harness.paths import cache_folder

    root = cache_folder(cache)
    with _Bar() as bar:
        health = upkeep.verify(root, repair=repair, progress=bar)
    lists.verify(root, health, repair=repair)
    if json:
        common.answer_json(_health(root, health))
    else:
        _tell_health(root, health)
    if health.damaged:
        if not repair:
            common.say("nothing was changed; --repair sets bad files aside")
        raise typer.Exit(1)


def prune(
    model: Annotated[str | None, typer.Option("--model", help="Namespaces of this model.")] = None,
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", help="Namespaces whose fingerprint begins so.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Namespaces not used for so long: 12h, 30d, 8w.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All namespaces.")] = False,
    dry_run: DryRun = False,
    cache: common.Cache = None,
    json: common.Json = False,
) -> None:
    """Remove the namespaces chosen; without a choice only leftovers of killed runs and damaged files.

    The candidate lists of a first stage are a namespace, too. Several choices narrow each other. A
    namespace that a running evaluation uses stays (exit code 1).
    """
    from harness.engine import lists, upkeep
    from harness.paths import cache_folder

    root = cache_folder(cache)
    spaces = upkeep.namespaces(root)
    chosen = _chosen([*spaces, *lists.kept_lists(root)], model, fingerprint, older_than, everything)
    if chosen is None:
        pruned = upkeep.leftovers(spaces, dry_run=dry_run)
        lists.prune(None, root, pruned, dry_run=dry_run)
    else:
        pruned = upkeep.prune([s for s in chosen if isinstance(s, upkeep.Namespace)], dry_run=dry_run)
        kept = [s for s in chosen if isinstance(s, lists.KeptLists)]
        lists.prune(kept, root, pruned, dry_run=dry_run)
    if json:
        common.answer_json(_pruned(root, pruned, dry_run))
    else:
        _tell_pruned(root, pruned, dry_run, {s.folder: s.model for s in spaces if s.model})
    if pruned.kept:
        raise typer.Exit(1)


def _chosen(
    spaces: list[Namespace | KeptLists],
    model: str | None,
    fingerprint: str | None,
    older_than: str | None,
    everything: bool,
) -> list[Namespace | KeptLists] | None:
    """The namespaces that every given choice names; None where nothing was chosen."""
    before = _before(older_than)
    if everything and (model is not None or fingerprint is not None or before is not None):
        raise ConfigError("--all leaves nothing to choose; leave it or the other choice out")
    if model is None and fingerprint is None and before is None and not everything:
        return None
    if fingerprint is not None and len(fingerprint) < 4:
        raise ConfigError(f"--fingerprint {fingerprint!r}: at least 4 characters are needed")
    chosen = spaces
    if model is not None:
        chosen = [s for s in chosen if s.model == model]
        if not chosen:
            raise UnknownNameError("model in this cache", model, {s.model for s in spaces if s.model})
    if fingerprint is not None:
        known = [s.fingerprint for s in spaces if s.fingerprint]
        if not any(name.startswith(fingerprint) for name in known):
            raise UnknownNameError("fingerprint in this cache", fingerprint, known)
        chosen = [s for s in chosen if s.fingerprint.startswith(fingerprint)]
    if before is not None:
        chosen = [s for s in chosen if s.used is not None and s.used < before]
    return chosen


def _before(older_than: str | None) -> float | None:
    if older_than is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([smhdw])", older_than)
    if not found:
        raise ConfigError(f"--older-than {older_than!r}: a number and s, m, h, d or w, such as 30d")
    return time.time() - int(found[1]) * _SECONDS[found[2]]


def _health(root: Path, health: Health) -> dict[str, object]:
    return {
        "cache": str(root),
        "shards": health.shards,
        "bytes": health.bytes,
        "damaged": [
            {"shard": str(path.relative_to(root)), "reason": reason, "set_aside": aside}
            for path, reason, aside in health.damaged
        ],
        "repeated_keys": {str(path.relative_to(root)): n for path, n in health.repeated.items()},
        "foreign": [str(path.relative_to(root)) for path in health.foreign],
    }


def _tell_health(root: Path, health: Health) -> None:
    common.answer(f"cache: {root}")
    for path, reason, aside in health.damaged:
        kept = f"; set aside as {aside}" if aside else ""
        common.answer(f"damaged: {path.parent.relative_to(root)}: {reason}{kept}")
    for path, count in health.repeated.items():
        common.answer(f"note: {path.relative_to(root)}: {count} keys stand more than once; none is wrong")
    for path in health.foreign:
        common.answer(f"note: {path.relative_to(root)}: not the cache's, left alone")
    common.answer(f"{health.shards} shards and lists, {_size(health.bytes)}: {len(health.damaged)} damaged")


def _pruned(root: Path, pruned: Pruned, dry_run: bool) -> dict[str, object]:
    return {
        "cache": str(root),
        "dry_run": dry_run,
        "files": pruned.files,
        "bytes": pruned.bytes,
        "namespaces": [str(path.relative_to(root)) for path in pruned.removed],
        "kept": [{"path": str(path.relative_to(root)), "reason": reason} for path, reason in pruned.kept],
    }


def _tell_pruned(root: Path, pruned: Pruned, dry_run: bool, models: Mapping[Path, str]) -> None:
    verb = "would remove" if dry_run else "removed"
    common.answer(f"cache: {root}")
    for path in pruned.removed:
        whose = f" of {models[path]}" if path in models else ""
        common.answer(f"{verb}: {path.relative_to(root)}{whose}")
    for path, reason in pruned.kept:
        common.answer(f"kept: {path.relative_to(root)}: {reason}")
    common.answer(f"{verb} {pruned.files} files, {_size(pruned.bytes)}")


class _Bar:
    """One line of progress on a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._next = 0.0

    def __enter__(self) -> Callable[[int, int], None]:
        return self._show

    def __exit__(self, *error: object) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[K")

    def _show(self, done: int, total: int) -> None:
        if self._live and (done == total or time.monotonic() >= self._next):
            self._next = time.monotonic() + 0.1
            sys.stderr.write(f"\r\x1b[Kchecked {_size(done)} of {_size(total)}")
            sys.stderr.flush()


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _day(used: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(used)) if used else "-"
