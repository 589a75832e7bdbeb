"""`harness compare A B ...`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import common, complete

if TYPE_CHECKING:
    from harness.models.catalog import Catalog
    from harness.report.sides import Side
    from harness.report.tested import Scored
    from harness.store import Store
    from harness.suite import Suite


class Format(StrEnum):
    """How a comparison is written."""

    md = "md"
    html = "html"
    json = "json"
    svg = "svg"
    png = "png"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("compare")(compare)


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="A B ...",
            help="Models with stored results: NAME@REVISION+VARIANT.",
            autocompletion=complete.models,
        ),
    ],
    suite: Annotated[
        str | None,
        typer.Option(
            help="Compare on this suite, of which all need results; default: the tasks that all have.",
            autocompletion=complete.suites,
        ),
    ] = None,
    results: Annotated[
        list[Path] | None,
        typer.Option(
            "--results",
            help="Folder of results, ours or mteb's; repeatable, the first that has a model counts; "
            "default: results/local.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.md,  # noqa: A002
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of permutations and resamples.")] = 0,
    data: common.Data = None,
    catalog: common.Catalog = None,
    cache: common.Cache = None,
    offline: common.Offline = False,
    json: common.Json = False,
    quiet: common.Quiet = False,
    verbose: common.Verbose = 0,
) -> None:
    """Set models side by side: each task's difference, whether it is chance, wins, ties and losses.

    Reads stored results only. What differs in how they were made stands on top; tasks that were not scored
    the same way are listed with the reason and enter no mean.

    Exit codes: 0 compared; 2 results are missing, or nothing can be compared.
    """
    import json as js

    from harness.errors import ConfigError, StoreError
    from harness.models.catalog import load_catalog
    from harness.report.compare import render as compare_report
    from harness.report.compare.pairs import compare as decide
    from harness.store import Store

    if len(models) < 2:
        raise ConfigError("compare takes two models or more: harness compare A B")
    if len(set(models)) < len(models):
        raise ConfigError("a model is named twice: name other revisions (@) or variants (+) of it")
    if json and format not in (Format.md, Format.json):
        raise ConfigError(f"--json and --format {format}: choose one")
    drawn = format in (Format.svg, Format.png)
    if drawn and len(models) > 2:
        raise ConfigError(f"--format {format} is one plot, of two models; --format html has those of all")
    common.check_folders(results)
    rows = load_catalog(catalog)
    stores = [Store(root, repair=False) for root in results or [common.LOCAL]]
    if suite is not None:
        from harness.suite import load_suite

        chosen = load_suite(suite, data=data, cache=cache)
        sides = [_side(stores, model, [t.protocol for t in chosen.tasks], rows, suite) for model in models]
        _apart(models, sides)
        tasks: Sequence[Scored] = chosen.tasks
        title = chosen.title
        _all_there(models, sides, chosen, suite)
    else:
        from harness.scorers import PROTOCOLS

        sides = [_side(stores, model, list(PROTOCOLS), rows) for model in models]
        _apart(models, sides)
        tasks = _shared(sides, models, cache)
        title = "the tasks that all have"
    say = common.mute if quiet else common.say
    for store in stores:
        common.tell(store.root, store.problems, say, whole=verbose > 0)
    found = decide(sides, tasks, title=f"Comparison on {title}", seed=seed)
    if not any(match.duels for match in found.matches):
        reasons = [f"{name}: {why}" for match in found.matches for name, why in match.barred.items()]
        raise StoreError("\n".join(["nothing can be compared", *dict.fromkeys(reasons)]))
    if drawn:
        from harness.report.compare.page import drawings

        common.plot(drawings(found, found.matches[0])[0], output, say, png=format is Format.png)
        return
    if json or format is Format.json:
        answer = compare_report.to_json(found)
        if output is None:
            common.answer_json(answer)
            return
        text = js.dumps(answer, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"
    elif format is Format.html:
        from harness.report.compare.page import to_html

        text = to_html(found)
    else:
        text = compare_report.to_markdown(found)
    if output is None:
        common.answer(text)
        return
    common.write(output, text, say)


def _apart(models: Sequence[str], sides: Sequence[Side]) -> None:
    """Refuse two names of one model: it would be compared with itself."""
    from harness.errors import ConfigError

    named: dict[str, str] = {}
    for model, side in zip(models, sides, strict=True):
        if other := named.get(side.label):
            raise ConfigError(f"{other} and {model} are both {side.label}: name it once")
        named[side.label] = model


def _side(
    stores: Sequence[Store], model: str, protocols: Sequence[str], rows: Catalog, suite: str | None = None
) -> Side:
    """A model's results from the first folder that has any, under each of the protocols."""
    from harness.errors import HarnessError, UnknownNameError
    from harness.report.sides import Side, nothing_of, stored_side

    problems: list[HarnessError] = []
    for store in stores:
        parts = []
        for protocol in dict.fromkeys(protocols):
            try:
                parts.append(stored_side(store, model, protocol, rows))
            except HarnessError as error:
                problems.append(error)
        if parts:
            joined = {place: result for part in reversed(parts) for place, result in part.results.items()}
            return Side(parts[0].label, joined, parts[0].samples)
    known = [error for error in problems if not isinstance(error, UnknownNameError)]
    if known:
        raise known[0]
    named = sorted({name for store in stores for name in store.models()} | set(rows.names()))
    places = ", ".join(str(store.root) for store in stores)
    made = f"in {places}\nmake them with: {_command(model, suite)}"
    raise nothing_of(model, made, named, rows)


def _command(model: str, suite: str | None) -> str:
    return f"harness eval {shlex.quote(model)}" + (f" --suite {shlex.quote(suite)}" if suite else "")


def _all_there(models: Sequence[str], sides: Sequence[Side], suite: Suite, name: str) -> None:
    """Raise where a model lacks tasks of the suite that another one has."""
    from harness.errors import StoreError
    from harness.report.compare.pairs import lacking

    gone = [lacking(side, suite.tasks) for side in sides]
    by_all = set(gone[0]).intersection(*gone[1:])
    lines = []
    for model, side, missing in zip(models, sides, gone, strict=True):
        own = [task for task in missing if task not in by_all]
        if own:
            more = f" and {len(own) - 3} more" if len(own) > 3 else ""
            lines.append(f"{side.label} has no result for {', '.join(own[:3])}{more}")
            lines.append(f"make them with: {_command(model, name)}")
    if len(by_all) == len(suite.tasks):
        lines = [f"no model has results of {suite.name}; make them with:"]
        lines += [_command(model, name) for model in models]
    elif lines:
        lines.append("or leave out --suite, to compare on the tasks that all have")
    if lines:
        raise StoreError("\n".join(lines))


def _shared(sides: Sequence[Side], models: Sequence[str], cache: Path | None) -> Sequence[Scored]:
    from harness.data.mteb_catalog import catalog
    from harness.errors import StoreError
    from harness.paths import cache_folder
    from harness.report.compare.tasks import shared_tasks
    from harness.suite_file import read_suite, suite_names

    known = catalog(cache_folder(cache))
    members = {name: info.members for name, info in known.items() if info.members}
    members |= {t.name: t.members for s in map(read_suite, suite_names()) for t in s.tasks if t.members}
    tasks = shared_tasks(sides, known, members)
    if not tasks:
        raise StoreError(
            "the models have results of no task in common; score one on the other's tasks, such as with\n"
            f"{_command(models[1], None)} --task {next(iter(sides[0].results))[0]}"
        )
    return tasks
