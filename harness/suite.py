"""Suites: named lists of tasks in `tasks/*.yaml`, every task resolved."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from harness.data.layout import by_hand
from harness.data.mteb_catalog import catalog
from harness.definition import NAME, Strict, TaskDefinition
from harness.errors import ConfigError, HarnessError, UnknownNameError, together
from harness.paths import cache_folder, data_folders, tasks_folder
from harness.task import Task, resolve, task_names
from harness.yamlfile import load_yaml

Protocol = Literal["mteb", "jmteb-1.3.3", "jmteb", "cmteb-v1", "sbert", "custom"]
PROTOCOLS: tuple[Protocol, ...] = ("mteb",)  # those that can be scored today


class Aggregate(Strict):
    """How a suite's scores become means."""

    columns: list[str] = Field(default_factory=list)
    average: Literal["tasks", "types", "datasets"] = "tasks"


class SuiteFile(Strict):
    """`tasks/<suite>.yaml`."""

    suite: str
    title: str
    protocol: Protocol = "mteb"
    aggregate: Aggregate = Aggregate()
    tasks: Annotated[list[TaskDefinition], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_differ(self) -> SuiteFile:
        names = [task.name for task in self.tasks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"task {name!r} stands twice")
        return self


@dataclass(frozen=True)
class Suite:
    """Named tasks and the way their scores become means.

    Attributes:
        named: tasks named one by one: each must apply to the model.
        written: how a command line names it: a suite's name or file, or `--task` options.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]
    aggregate: Aggregate = field(default_factory=Aggregate)
    named: bool = False
    written: str = "SUITE"

    def fetching(self, model: str = "") -> str:
        """The command that gets its data, and a model's files."""
        return " ".join(part for part in ("harness prefetch", self.written, model, "--data DIR") if part)


def suite_names() -> list[str]:
    """The suites that ship with the program."""
    return sorted(path.stem for path in tasks_folder().glob("*.yaml"))


def read_suite(name: str) -> SuiteFile:
    """A suite's definition, by name or by the path of a YAML file. Raises UnknownNameError, ConfigError."""
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return load_yaml(Path(name), SuiteFile)
    if name not in suite_names():
        raise UnknownNameError("suite", name, suite_names(), "harness suites lists them")
    return load_yaml(tasks_folder() / f"{name}.yaml", SuiteFile)


def load_suite(
    name: str,
    *,
    protocol: str | None = None,
    subsets: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    data: Sequence[str | Path] | None = None,
    cache: str | Path | None = None,
    fetched: Path | None = None,
) -> Suite:
    """A suite with every task resolved.

    Args:
        name: a shipped suite, or the path of a YAML file.
        protocol: overrides the suite's.
        subsets, splits: only these (each must exist in at least one task).
        data: folders looked in first; default HARNESS_DATA.
        fetched: instead of them a folder that is to be filled: every task is resolved against where its data
            come from, but for those that someone else put there.

    Raises:
        HarnessError: everything that cannot be resolved, all at once, one line each.
    """
    definition = read_suite(name)
    roots = _roots(data, fetched)
    tasks = _resolve_all(definition.tasks, protocol or definition.protocol, subsets, splits, roots, cache)
    return Suite(definition.suite, definition.title, tasks, definition.aggregate, written=name)


def load_task(
    *names: str,
    protocol: str = "mteb",
    subsets: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    data: Sequence[str | Path] | None = None,
    cache: str | Path | None = None,
    fetched: Path | None = None,
) -> Suite:
    """Tasks by name as a suite of their own; arguments and errors as in `load_suite`."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"task {repeated[0]!r} is named twice")
    shipped = _shipped()
    for name in names:
        if not NAME.fullmatch(name):
            raise UnknownNameError(
                "task", name, [], "a task's name has no slash, no line break, and 120 characters at most"
            )
    definitions = [shipped.get(name, TaskDefinition(name=name)) for name in names]
    tasks = _resolve_all(definitions, protocol, subsets, splits, _roots(data, fetched), cache)
    written = " ".join(f"--task {shlex.quote(name)}" for name in names)
    return Suite("tasks", ", ".join(names), tasks, named=True, written=written)


def all_task_names(cache: str | Path | None = None, data: Sequence[str | Path] | None = None) -> list[str]:
    """Every task that can be named: shipped, in the data folders, and of mteb."""
    roots = data_folders(None if data is None else [Path(d) for d in data])
    return sorted(task_names(catalog(cache_folder(cache)), roots) | set(_shipped()))


def _shipped() -> dict[str, TaskDefinition]:
    """Tasks defined in full by the shipped suites (those that bring their own data folder)."""
    return {
        task.name: task
        for name in suite_names()
        for task in read_suite(name).tasks
        if task.source is not None and task.source.folder is not None
    }


def _resolve_all(
    definitions: Iterable[TaskDefinition],
    protocol: str,
    subsets: Sequence[str] | None,
    splits: Sequence[str] | None,
    roots: Callable[[str], Sequence[Path]],
    cache: str | Path | None,
) -> tuple[Task, ...]:
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    known = catalog(cache_folder(cache))
    tasks: list[Task] = []
    problems: list[HarnessError] = []
    for definition in definitions:
        try:
            tasks.append(resolve(definition, protocol, roots(definition.name), known))
        except HarnessError as error:
            problems.append(error)
    if problems:
        raise together(problems)
    return tuple(_narrowed(tasks, subsets, splits))


def _roots(data: Sequence[str | Path] | None, fetched: Path | None) -> Callable[[str], Sequence[Path]]:
    """A task's name to the data folders it is looked up in."""
    if fetched is not None:
        return lambda name: [fetched] if by_hand(fetched, name) else []
    roots = data_folders(None if data is None else [Path(d) for d in data])
    return lambda name: roots


def _narrowed(
    tasks: Sequence[Task], subsets: Sequence[str] | None, splits: Sequence[str] | None
) -> list[Task]:
    """Only the named splits and subsets; a name no task has is an error, a task left empty is dropped."""
    for what, asked, at in (("split", splits, 0), ("subset", subsets, 1)):
        there = {entry[at] for task in tasks for entry in task.entries}
        for name in asked or ():
            if name not in there:
                raise UnknownNameError(what, name, there, f"there is: {', '.join(sorted(there))}")
    kept = [
        replace(
            task,
            entries=tuple(
                e for e in task.entries if (not splits or e[0] in splits) and (not subsets or e[1] in subsets)
            ),
            members=tuple(
                replace(m, entries=tuple(e for e in m.entries if not splits or e[0] in splits))
                for m in task.members
            ),
        )
        for task in tasks
    ]
    return [task for task in kept if task.entries]
