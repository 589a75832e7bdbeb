"""Suites: named lists of tasks in `tasks/*.yaml`, every task resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from harness.data.mteb_catalog import catalog
from harness.definition import NAME, Strict, TaskDefinition, anchored
from harness.errors import ConfigError, HarnessError, UnknownNameError, together
from harness.paths import cache_folder, data_folders, tasks_folder
from harness.scorers import PROTOCOLS
from harness.task import Task, resolve, task_names
from harness.yamlfile import load_yaml

Protocol = Literal["mteb", "jmteb-1.3.3", "jmteb", "cmteb-v1", "sbert", "custom"]


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
    """Named tasks and the way their scores become means."""

    name: str
    title: str
    tasks: tuple[Task, ...]
    aggregate: Aggregate = field(default_factory=Aggregate)
    named: bool = False  # tasks named one by one: each must apply to the model


def suite_names() -> list[str]:
    """The suites that ship with the program."""
    return sorted(path.stem for path in tasks_folder().glob("*.yaml"))


def read_suite(name: str) -> SuiteFile:
    """A suite's definition, by name or by the path of a YAML file; its files' paths seen from here.

    Raises:
        UnknownNameError: no suite of that name.
        ConfigError: no such file, or what is wrong in it, with the line.
    """
    if not _is_path(name) and name not in suite_names():
        raise UnknownNameError("suite", name, suite_names(), "harness suites lists them")
    path = Path(name) if _is_path(name) else tasks_folder() / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    read = load_yaml(path, SuiteFile)
    tasks = [
        task
        if task.source is None
        else task.model_copy(update={"source": anchored(task.source, path.parent)})
        for task in read.tasks
    ]
    return read.model_copy(update={"tasks": tasks})


def _is_path(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def load_suite(
    name: str,
    *,
    protocol: str | None = None,
    subsets: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    data: Sequence[str | Path] | None = None,
    cache: str | Path | None = None,
) -> Suite:
    """A suite with every task resolved.

    Args:
        name: a shipped suite, or the path of a YAML file.
        protocol: overrides the suite's.
        subsets, splits: only these (each must exist in at least one task).
        data: folders looked in first; default HARNESS_DATA.

    Raises:
        HarnessError: everything that cannot be resolved, all at once, one line each.
    """
    definition = read_suite(name)
    wanted = {protocol or definition.protocol: definition.tasks}
    tasks = _resolve_all(wanted, subsets, splits, data, cache)
    return Suite(definition.suite, definition.title, tasks, definition.aggregate)


def load_task(
    *names: str,
    protocol: str | None = None,
    subsets: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    data: Sequence[str | Path] | None = None,
    cache: str | Path | None = None,
) -> Suite:
    """Tasks by name as a suite of their own; arguments and errors as in `load_suite`.

    Args:
        names: of tasks, or paths of YAML files in the form of a suite, whose tasks are all taken.
        protocol: of every task; default a file's own for its tasks, mteb for the others.
    """
    shipped = _shipped()
    by_protocol: dict[str, list[TaskDefinition]] = {}
    taken: list[str] = []
    for name in names:
        if _is_path(name):
            read = read_suite(name)
            own, definitions = read.protocol, list(read.tasks)
        elif NAME.fullmatch(name):
            own, definitions = "mteb", [shipped.get(name, TaskDefinition(name=name))]
        else:
            raise UnknownNameError(
                "task", name, [], "a task's name has no slash, no line break, and 120 characters at most"
            )
        by_protocol.setdefault(protocol or own, []).extend(definitions)
        taken += [definition.name for definition in definitions]
    repeated = sorted({name for name in taken if taken.count(name) > 1})
    if repeated:
        raise ConfigError(f"task {repeated[0]!r} is named twice")
    tasks = _resolve_all(by_protocol, subsets, splits, data, cache)
    ordered = sorted(tasks, key=lambda task: taken.index(task.name))
    return Suite("tasks", ", ".join(taken), tuple(ordered), named=True)


def load_definition(
    definition: TaskDefinition,
    protocol: str,
    *,
    data: Sequence[str | Path] | None = None,
    cache: str | Path | None = None,
) -> Task:
    """One task of a suite's file, resolved; arguments and errors as in `load_suite`."""
    (task,) = _resolve_all({protocol: [definition]}, None, None, data, cache)
    return task


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
    by_protocol: Mapping[str, Iterable[TaskDefinition]],
    subsets: Sequence[str] | None,
    splits: Sequence[str] | None,
    data: Sequence[str | Path] | None,
    cache: str | Path | None,
) -> tuple[Task, ...]:
    for protocol in by_protocol:
        if protocol not in PROTOCOLS:
            raise UnknownNameError("protocol", protocol, PROTOCOLS)
    roots = data_folders(None if data is None else [Path(d) for d in data])
    known = catalog(cache_folder(cache))
    tasks: list[Task] = []
    problems: list[HarnessError] = []
    for protocol, definitions in by_protocol.items():
        for definition in definitions:
            try:
                tasks.append(resolve(definition, protocol, roots, known))
            except HarnessError as error:
                problems.append(error)
    if problems:
        raise together(problems)
    return tuple(_narrowed(tasks, subsets, splits))


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
