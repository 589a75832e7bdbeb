"""`harness leaderboard`."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import common, complete

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.report.board.leaderboard import Leaderboard
    from harness.store import Store


class Format(StrEnum):
    """How a leaderboard is written."""

    md = "md"
    html = "html"
    csv = "csv"
    json = "json"
    tex = "tex"
    svg = "svg"
    png = "png"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("leaderboard")(leaderboard)


def leaderboard(
    suite: Annotated[
        str,
        typer.Argument(
            metavar="SUITE", help="A suite, mteb:BENCHMARK or a YAML file.", autocompletion=complete.suites
        ),
    ],
    results: Annotated[
        list[Path] | None,
        typer.Option(
            "--results",
            help="Folder of results, ours or of mteb's layout; repeatable.",
            show_default=str(common.LOCAL),
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        Format, typer.Option("--format", help="How it is written; svg and png plot the mean by size.")
    ] = Format.md,
    merge_revisions: Annotated[
        bool, typer.Option("--merge-revisions", help="Let revisions of a model complete each other (†).")
    ] = False,
    any_split: Annotated[
        bool,
        typer.Option(
            "--any-split", help="Take another split where the suite's is missing (‡); merges revisions too."
        ),
    ] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file.")] = None,
    data: common.Data = None,
    cache: common.Cache = None,
    offline: common.Offline = False,
    json: common.Json = False,
    quiet: common.Quiet = False,
    verbose: common.Verbose = 0,
) -> None:
    """Rank the stored results of a suite: per task, per type and as means."""
    from harness.errors import ConfigError, StoreError
    from harness.report import leaderboard as build
    from harness.store import Store
    from harness.suite import load_suite

    if json and format not in (Format.md, Format.json):
        raise ConfigError(f"--json and --format {format}: choose one")
    common.check_folders(results)
    stores = [Store(root, repair=False) for root in dict.fromkeys(results or [common.LOCAL])]
    loaded = load_suite(suite, data=data, cache=cache)
    merged = merge_revisions or any_split
    say = common.mute if quiet else common.say
    board = build(stores, loaded, merge_revisions=merged, any_split=any_split, cache=cache, say=say)
    for store in stores:
        common.tell(store.root, store.problems, say, whole=verbose > 0)
    if not board.labels:
        places = ", ".join(str(store.root) for store in stores)
        for inner in filter(None, (_inner(store.root) for store in stores)):
            say(f"the folders of models lie deeper: --results {inner}")
        raise StoreError(
            f"no results of {suite} in {places}\n"
            f"make some with: harness eval MODEL --suite {shlex.quote(suite)}"
        )
    if format in (Format.svg, Format.png):
        from harness.report.board.front import front

        common.plot(front(board), output, say, png=format is Format.png)
        return
    formats = {
        Format.md: board.to_markdown,
        Format.html: lambda: _page(board, stores, say),
        Format.csv: board.to_csv,
        Format.json: board.to_json,
        Format.tex: board.to_latex,
    }
    text = formats[Format.json if json else format]()
    if output is None:
        common.answer(text)
    else:
        common.write(output, text, say)


def _inner(root: Path) -> Path | None:
    """A folder in `root` that holds folders of models, where `root` itself holds none."""
    if next(root.glob("*__*/"), None):
        return None
    return min((path.parent for path in root.glob("*/*__*/")), default=None)


def _page(board: Leaderboard, stores: Sequence[Store], say: Callable[[str], None]) -> str:
    from harness.report.board.intervals import intervals

    return board.to_html(intervals(board, stores, say))
