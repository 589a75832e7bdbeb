"""`harness prefetch`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import common, complete

if TYPE_CHECKING:
    from harness.errors import HarnessError
    from harness.prefetch import Outcome
    from harness.suite import Suite
    from harness.task import Task


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("prefetch")(prefetch)


def prefetch(
    suite: Annotated[
        str | None,
        typer.Argument(
            metavar="[SUITE]",
            help="A suite (harness suites lists them) or a YAML file.",
            autocompletion=complete.suites,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="Fetch this model's files into the hub's cache too.",
            autocompletion=complete.models,
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="A task instead of a suite; repeatable.", autocompletion=complete.tasks),
    ] = None,
    subset: Annotated[list[str] | None, typer.Option(help="Only this subset; repeatable.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="Only this split; repeatable.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", help="The folder to fill. [env: HARNESS_DATA]", show_default=False
        ),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Replace data that the folder holds at another revision.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be fetched and stop.")] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Fetch a pinned model's code too.")
    ] = False,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Fetch weights that are pickles too.")
    ] = False,
    cache: common.Cache = None,
    catalog: common.Catalog = None,
    offline: common.Offline = False,
    json: common.Json = False,
    quiet: common.Quiet = False,
    verbose: common.Verbose = 0,
) -> None:
    """Fetch a suite's data, and a model, so that eval --data DIR --offline needs no network.

    Every task becomes a folder of Parquet files with a manifest of their SHA-256s; DIR/harness.lock.json pins
    the revision of every data set. What is there and right is kept: a killed run goes on where it was. With
    --task and without a suite the only argument is the model.

    Examples:

      harness prefetch smoke --data data

      harness prefetch --task SciFact --task JSTS --data data

      harness prefetch cmteb jina-v2-base-zh --data data --dry-run
    """
    common.hush(verbose)
    from harness.cli.lacking import all_missing, tried
    from harness.errors import ConfigError
    from harness.jobs import flatten
    from harness.network import go_offline

    if offline:
        go_offline()
    if task and suite and model:
        raise ConfigError("--task and SUITE exclude each other")
    if task:
        suite, model = None, suite
    if not (suite or task):
        raise ConfigError("what is to be fetched? name a suite (harness suites lists them) or pass --task T")
    root = _folder(data)
    whole = _load(suite, task, {"subsets": subset, "splits": split, "cache": cache, "fetched": root})
    for name, reason in () if quiet else whole.outside.items():
        common.say(f"skip: {name}: {reason}")
    tasks = [task for task in flatten(whole.tasks) if task.kind != "aggregate"]
    weights: dict[str, Any] = {"trust_remote_code": trust_remote_code, "allow_pickle": allow_pickle}
    weights |= {"catalog": catalog, "cache": cache}
    if dry_run:
        _show(tasks, root, model, weights, json)
        return
    from harness.prefetch import fetch_model, ready
    from harness.prefetch import prefetch as run

    problems: list[HarnessError] = []
    outcomes: list[Outcome] = []
    try:
        off, gone = ready(tasks, root, update=update, offline=offline)
        found = tried(problems, fetch_model, model, offline=off, **weights) if model else None
        if off and (gone or problems):
            raise all_missing(problems, gone, offline, whole.fetching(model or ""))
        with _Screen(len(tasks), quiet) as screen:
            for outcome in run(tasks, root, update=update, offline=off, listen=screen.now):
                outcomes.append(outcome)
                screen.done(outcome)
    except KeyboardInterrupt:
        common.say("interrupted; finished work is kept, the same command goes on from here")
        raise typer.Exit(130) from None
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    common.answer_json(_as_json(outcomes, found, problems, root)) if json else _tell(outcomes, found, root)
    for text in [*(outcome.error for outcome in failed), *map(str, problems)]:
        common.say("error: " + text.replace("\n", "\n       "))
    if failed or problems:
        raise typer.Exit(1 if len(failed) < len(outcomes) or found else 2)


def _folder(data: Path | None) -> Path:
    """The folder to fill: the option's, else the only one of HARNESS_DATA."""
    from harness.errors import ConfigError
    from harness.paths import data_folders

    folders = data_folders([data] if data else None)
    if len(folders) != 1:
        known = "names several folders" if folders else "is not set"
        raise ConfigError(f"which folder is to be filled? pass --data DIR (HARNESS_DATA {known})")
    return folders[0]


def _load(suite: str | None, names: list[str] | None, narrow: dict[str, Any]) -> Suite:
    from harness.suite import load_suite, load_task

    return load_task(*names, **narrow) if names else load_suite(str(suite), **narrow)


def _as_json(outcomes: Sequence[Outcome], model: Any, problems: Sequence[Any], root: Path) -> dict[str, Any]:
    rows = []
    for one in outcomes:
        files = {
            name: {**facts, "bytes": _bytes(root, one, name), "written": name in one.files}
            for name, facts in one.record.get("files", {}).items()
        }
        facts = {"task": one.task.name, "state": one.state, "error": one.error or None, **one.record}
        rows.append({**facts, "files": files})
    return {"tasks": rows, "model": model, "problems": [str(problem) for problem in problems]}


def _bytes(root: Path, one: Outcome, name: str) -> int:
    return (root / one.task.name / name).stat().st_size


def _tell(outcomes: Sequence[Outcome], model: Any, root: Path) -> None:
    rows = []
    for one in outcomes:
        files = one.record.get("files", {})
        count = sum(file["rows"] for file in files.values())
        size = sum(_bytes(root, one, name) for name in files)
        cells = [f"{count:,}", _size(size)] if files else ["-", "-"]
        rows.append([one.task.name, _STATES[one.state], str(len(files) or "-"), *cells])
    common.answer(common.table(["task", "", "files", "rows", "size"], rows))
    if model:
        common.answer(f"{model['name']}@{model['revision'] or 'no revision'} is on this machine")
    if all(one.state in ("there", "own") for one in outcomes):
        common.answer(f"nothing to do: all of it is in {root}")


_STATES = {"written": "written", "there": "there already", "own": "your own files", "failed": "FAILED"}


def _size(count: int) -> str:
    return (
        f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count} B"
    )


def _show(tasks: Sequence[Task], root: Path, model: str | None, weights: Any, json: bool) -> None:
    """What would be fetched, from where, and how large it is where mteb says so."""
    from harness.data.lock import conflicts
    from harness.data.sizes import known_size
    from harness.errors import ModelError
    from harness.prefetch import fetch_model, standing

    facts: list[dict[str, Any]] = []
    for task in tasks:
        size = known_size(task)
        facts.append(
            {
                "task": task.name,
                "kind": task.kind,
                "state": standing(task, root),
                "source": task.dataset or "harness",
                "revision": task.revision,
                "entries": [list(entry) for entry in task.entries],
                "rows": size and size[0],
                "characters": size and size[1],
            }
        )
    conflicting = conflicts(tasks, root)
    state = None
    if model:
        try:
            state = {**fetch_model(model, **{**weights, "offline": True}), "state": "there"}
        except ModelError:
            state = {"name": model, "revision": None, "state": "to fetch"}
    if json:
        common.answer_json({"tasks": facts, "model": state, "conflicts": conflicting})
        return
    rows = [
        [
            fact["task"],
            fact["kind"],
            fact["state"],
            str(len(fact["entries"])),
            "?" if fact["rows"] is None else f"{fact['rows']:,}",
            "?" if fact["characters"] is None else f"{fact['characters']:,}",
            f"{fact['source']}@{fact['revision'][:12]}",
        ]
        for fact in facts
    ]
    common.answer(common.table(["task", "kind", "", "entries", "rows", "characters", "from"], rows))
    if state:
        common.answer(f"model {state['name']}: {state['state']}")
    for line in conflicting:
        common.answer(f"{line}; --update replaces it")


class _Screen:
    """Progress on stderr: a bar on a terminal, elsewhere a line a task."""

    def __init__(self, total: int, quiet: bool) -> None:
        self.total, self.quiet, self.finished = total, quiet, 0
        self._bar: Any = None
        self._row: Any = None

    def __enter__(self) -> _Screen:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
            )
            # The stream itself: libraries are kept quiet by putting another in the place of sys.stderr.
            self._bar = Progress(*columns, console=Console(file=sys.stderr))
            self._row = self._bar.add_task("", total=self.total)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def now(self, task: Task, text: str) -> None:
        """What is being done."""
        if self._bar is not None:
            self._bar.update(self._row, description=f"{task.name} {text}")
        elif "again" in text and not self.quiet:
            common.say(f"{task.name}: {text}")

    def done(self, outcome: Outcome) -> None:
        """A task is finished."""
        self.finished += 1
        line = f"[{self.finished}/{self.total}] {outcome.task.name}: {_STATES[outcome.state]}"
        if self._bar is not None:
            self._bar.advance(self._row)
            self._bar.console.print(line, markup=False, highlight=False)
        elif not self.quiet:
            common.say(line)
