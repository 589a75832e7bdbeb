"""`harness sweep`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import common

if TYPE_CHECKING:
    from harness.report.sweep import Sweep
    from harness.suite import Suite
    from harness.types import Result


class Format(StrEnum):
    """How a sweep is printed."""

    md = "md"
    csv = "csv"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("sweep")(sweep)


def sweep(
    model: common.Model,
    max_length: Annotated[
        str, typer.Option(metavar="N,N,...", help="Tokens kept of a text: several, split by commas.")
    ],
    suite: common.Suite = None,
    task: common.Task = None,
    subset: common.Subset = None,
    split: common.Split = None,
    protocol: common.Protocol = None,
    device: common.Device = None,
    dtype: common.Dtype = None,
    dim: common.Dim = None,
    quant: common.Quant = None,
    prompts: common.Prompts = None,
    batch_tokens: common.BatchTokens = None,
    memory: common.Memory = None,
    backend: common.Backend = None,
    first_stage: common.FirstStage = None,
    weights: common.Weights = None,
    name: common.Name = None,
    force: common.Force = False,
    no_cache: common.NoCache = False,
    keep_going: common.KeepGoing = False,
    trust_remote_code: common.TrustRemoteCode = False,
    allow_pickle: common.AllowPickle = False,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "-o",
            "--output",
            help="Write a plot (.svg, .png) or the table (.md, .csv, .json) to this file; repeatable.",
        ),
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="How the table is printed.")] = Format.md,  # noqa: A002
    results: common.Results = common.LOCAL,
    data: common.Data = None,
    cache: common.Cache = None,
    catalog: common.Catalog = None,
    offline: common.Offline = False,
    json: common.Json = False,
    quiet: common.Quiet = False,
    verbose: common.Verbose = 0,
) -> None:
    """Score a model at several lengths of text: a table, and a plot.

    Each length is a variant of the model (+len512), stored as harness eval --max-length stores it.
    Stored results are reused; an interrupted sweep goes on where it stopped.

    Examples:

      harness sweep all-MiniLM-L6-v2 --suite smoke --max-length 16,32,128

      harness sweep jina-v2-base-zh --task SciFact --max-length 128,512,2048 -o plot.svg
    """
    common.hush(verbose)
    from harness.cli.running import check_named, chosen_tasks, opened, scored
    from harness.errors import ConfigError

    check_named(suite, task)
    if not suite and not task:
        raise ConfigError("a sweep needs --task NAME (repeatable) or --suite NAME")
    lengths = parsed_lengths(max_length)
    writers = [writer(path) for path in output or ()]

    def at(length: int) -> tuple[Any, dict[str, Any]]:
        return opened(
            model,
            first_stage,
            no_cache=no_cache,
            memory=memory,
            max_length=length,
            device=device,
            dtype=dtype,
            dim=dim,
            quant=quant,
            prompts=prompts,
            batch_tokens=batch_tokens,
            backend=backend,
            weights=weights,
            display_name=name,
            catalog=catalog,
            cache=cache,
            offline=offline,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
        )

    for length in lengths:  # a length that the model cannot take is found before any work
        scorer, _ = at(length)
    if scorer.card.kind == "lexical":
        raise ConfigError(f"{scorer.card.name} searches words and has no max length to sweep")
    narrow = {"subsets": subset, "splits": split, "data": data, "cache": cache}
    chosen = chosen_tasks(suite or "", task, protocol, narrow)
    found: dict[int, list[Result]] = {}
    failed = 0
    for length in lengths:
        scorer, options = at(length)
        options |= {"force": force, "keep_going": keep_going}
        found[length], failures = scored(scorer, chosen, results, options, quiet=quiet)
        failed += failures
    made = _made(scorer.card, chosen, found)
    common.answer(_written(made, "json" if json else format))
    for path, write in zip(output or (), writers, strict=True):
        if write is _plot and not made.plottable:
            common.say(f"no score to plot: {path} is not written")
            continue
        write(made, path)
    if failed:
        raise typer.Exit(1)


def parsed_lengths(text: str) -> list[int]:
    """Lengths in tokens, rising, each once. Raises ConfigError."""
    from harness.errors import ConfigError

    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [part for part in parts if not (part.isascii() and part.isdigit() and int(part) > 0)]
    if wrong or not parts:
        raise ConfigError(
            f"--max-length takes whole numbers of at least 1, split by commas, such as 128,512,2048; "
            f"not {wrong[0] if wrong else text!r}"
        )
    return sorted({int(part) for part in parts})


def writer(path: Path) -> Callable[[Sweep, Path], None]:
    """What writes a sweep to a file of this ending.

    Raises:
        ConfigError: no such ending.
        MissingExtraError: a PNG without matplotlib.
    """
    from harness.errors import ConfigError
    from harness.report.plots.png import check_png

    known = {".svg": _plot, ".png": _plot, ".md": _table, ".csv": _table, ".json": _table}
    ending = path.suffix.lower()
    if ending not in known:
        raise ConfigError(f"-o {path}: the ending says what is written: {', '.join(known)}")
    if path.is_dir():
        raise ConfigError(f"-o {path} is a folder; name a file")
    if ending == ".png":
        check_png()
    return known[ending]


def _made(card: Any, chosen: Suite, found: dict[int, list[Result]]) -> Sweep:
    from harness.models.variants import parse_variant
    from harness.report.sweep import SweptTask
    from harness.report.sweep import sweep as together

    variant = [token for token in card.variant if "max_length" not in parse_variant([token])]
    shown = "".join([card.name, f"@{card.revision}" if card.revision else "", *(f"+{t}" for t in variant)])
    scored = {result.task for results in found.values() for result in results}
    tasks = [
        SweptTask(task.name, task.entries, task.shown)
        for task in chosen.tasks
        if task.name in scored or _applies(task, card)
    ]
    return together(shown, chosen.tasks[0].protocol if chosen.tasks else "mteb", tasks, found)


def _applies(task: Any, card: Any) -> bool:
    from harness.jobs import applicable

    return not applicable(task, card, staged=True)


def _plot(made: Sweep, path: Path) -> None:
    common.plot(made.to_drawing(), path, common.say, png=path.suffix.lower() == ".png")


def _table(made: Sweep, path: Path) -> None:
    common.write(path, _written(made, path.suffix.lower()[1:]))


def _written(made: Sweep, how: str) -> str:
    return {"md": made.to_markdown, "csv": made.to_csv, "json": made.to_json}[how]()
