"""What the shell offers behind <TAB>: suites, models, tasks and protocols; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer

from harness.errors import HarnessError


def suites(incomplete: str) -> list[str]:
    """Suites that ship."""
    from harness.suite_file import suite_names

    return _like(suite_names(), incomplete)


def models(ctx: typer.Context, incomplete: str) -> list[str]:
    """Short names, aliases and hub ids of the catalog, `--catalog` included."""
    from harness.models.catalog import load_catalog

    try:
        return _like(load_catalog(ctx.params.get("catalog")).names(), incomplete)
    except HarnessError:
        return []  # the command itself says what is wrong with the file


def tasks(ctx: typer.Context, incomplete: str) -> list[str]:
    """Tasks of the data folders, of the program, and of mteb where its table was made already."""
    from harness.data.mteb_catalog import made_catalog
    from harness.paths import cache_folder, data_folders
    from harness.suite_file import read_suite, suite_names

    roots = data_folders(_folders(ctx.params.get("data")))
    local = [path.name for root in roots if root.is_dir() for path in root.iterdir() if path.is_dir()]
    own = [
        task.name
        for suite in map(read_suite, suite_names())
        for task in suite.tasks
        if task.source is not None and task.source.folder is not None
    ]
    known = made_catalog(cache_folder(ctx.params.get("cache")))
    of_mteb = [name for name, info in known.items() if not info.refused]
    return _like([name for name in (*local, *own, *of_mteb) if not name.startswith(".")], incomplete)


def protocols(incomplete: str) -> list[str]:
    """Protocols."""
    from harness.scorers import PROTOCOLS

    return _like(PROTOCOLS, incomplete)


def anything(ctx: typer.Context, incomplete: str) -> list[str]:
    """All that `harness show` knows."""
    return [*suites(incomplete), *models(ctx, incomplete), *tasks(ctx, incomplete)]


def _folders(given: object) -> list[Path] | None:
    """The value of --data, which is one folder or several."""
    several = list(given) if isinstance(given, list | tuple) else [given] if given else []
    return [Path(str(one)) for one in several] or None


def _like(names: Iterable[str], incomplete: str) -> list[str]:
    """The names that begin like this, sorted, each once."""
    return sorted({name for name in names if name.startswith(incomplete)})
