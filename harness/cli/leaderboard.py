"""`harness leaderboard`."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import common


class Format(StrEnum):
    """How a leaderboard is written."""

    md = "md"
    html = "html"
    csv = "csv"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("leaderboard")(leaderboard)


def leaderboard(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="A suite, mteb:BENCHMARK or a YAML file.")],
    results: Annotated[
        list[Path] | None, typer.Option("--results", help="Folder of results; repeatable.")
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.md,  # noqa: A002
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file.")] = None,
    data: common.Data = None,
    cache: common.Cache = None,
) -> None:
    """Rank the stored results of a suite: per task, per type and as means."""
    from harness.errors import StoreError
    from harness.report import leaderboard as build
    from harness.report.intervals import intervals
    from harness.store import Store
    from harness.suite import load_suite

    stores = [Store(root) for root in results or [common.LOCAL]]
    board = build(stores, load_suite(suite, data=data, cache=cache))
    for problem in (line for store in stores for line in store.problems):
        common.say(problem)
    if board.frame.empty:
        places = ", ".join(str(store.root) for store in stores)
        raise StoreError(
            f"no results of {suite} in {places}\n"
            f"make some with: harness eval MODEL --suite {shlex.quote(suite)}"
        )
    formats = {Format.md: board.to_markdown, Format.csv: board.to_csv, Format.json: board.to_json}
    formats[Format.html] = lambda: board.to_html(intervals(board, stores, common.say))
    text = formats[format]()
    if output is None:
        common.answer(text)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
        common.say(f"wrote {output}")
