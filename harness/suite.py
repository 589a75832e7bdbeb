"""Suites: named lists of tasks in `tasks/*.yaml`, every task resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from harness.data.mteb_catalog import benchmark, benchmarks, catalog
from harness.definition import NAME, Rng, Strict, TaskDefinition
from harness.errors import ConfigError, HarnessError, UnknownNameError, together
from harness.paths import cache_folder, data_folders, tasks_folder
from harness.scorers import PROTOCOLS
from harness.task import Task, resolve, task_names
from harness.yamlfile import load_yaml

MTEB = "mteb:"  # in front of the name of any benchmark of mteb
Protocol = Literal["mteb", "jmteb-1.3.3", "jmteb", "cmteb-v1", "sbert", "custom"]


class Aggregate(Strict):
    """How a suite's scores become means."""

    columns: list[str] = Field(default_factory=list)
    average: Literal["tasks", "types", "datasets"] = "tasks"


class SuiteFile(Strict):
    """`tasks/<suite>.yaml`: tasks written out, or a benchmark of mteb and what is different here.

    With a `benchmark`, its tasks, splits and subsets are mteb's; `tasks` may only say more of some of them.
    `size` is the number of tasks the suite was written for: mteb must still have as many.
    """

    suite: str
    title: str
    protocol: Protocol = "mteb"
    rng: Rng = "alone"
    benchmark: str | None = None
    size: int | None = None
    aggregate: Aggregate = Aggregate()
    tasks: list[TaskDefinition] = Field(default_factory=list)

    @model_validator(mode="after")
    def _sound(self) -> SuiteFile:
        names = [task.name for task in self.tasks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"task {name!r} stands twice")
        if not names and self.benchmark is None:
            raise ValueError("a suite needs tasks or a benchmark")
        if self.benchmark is None and self.size not in (None, len(names)):
            raise ValueError(f"size says {self.size}, and there are {len(names)} tasks")
        return self


@dataclass(frozen=True)
class Suite:
    """Named tasks and the way their scores become means.

    Attributes:
        named: the tasks were named one by one: each must apply to the model.
        left_out: tasks of the benchmark that are not scored here, and why: its means are over the others.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]
    aggregate: Aggregate = field(default_factory=Aggregate)
    named: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)


def suite_names() -> list[str]:
    """The suites that ship with the program."""
    return sorted(path.stem for path in tasks_folder().glob("*.yaml"))


def read_suite(name: str, cache: str | Path | None = None) -> SuiteFile:
    """A suite's definition: a shipped one, a YAML file, or `mteb:NAME` for a benchmark of mteb.

    Raises UnknownNameError, ConfigError.
    """
    if name.startswith(MTEB):
        own = benchmark(name.removeprefix(MTEB), cache_folder(cache))
        by_types = "mean_task_type" in own.means and "mean_task" not in own.means
        average = Aggregate(average="types" if by_types else "tasks")
        return SuiteFile(suite=MTEB + own.name, title=own.name, benchmark=own.name, aggregate=average)
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return load_yaml(Path(name), SuiteFile)
    if name not in suite_names():
        known = [*suite_names(), *(MTEB + own for own in benchmarks(cache_folder(cache)))]
        hint = "harness suites lists them; mteb:NAME is a benchmark of mteb"
        raise UnknownNameError("suite", name, known, hint)
    return load_yaml(tasks_folder() / f"{name}.yaml", SuiteFile)


def definitions(
    suite: SuiteFile, cache: str | Path | None = None
) -> tuple[list[TaskDefinition], dict[str, str]]:
    """The tasks of a suite, those of a benchmark looked up, and those left out with the reason.

    Raises:
        UnknownNameError: mteb has no such benchmark, or the benchmark no such task.
        ConfigError: mteb's benchmark is not the one that the suite was written for, or has no text task.
    """
    if suite.benchmark is None:
        return list(suite.tasks), {}
    own, known = benchmark(suite.benchmark, cache_folder(cache)), catalog(cache_folder(cache))
    if suite.size not in (None, len(own.splits)):
        raise ConfigError(
            f"suite {suite.suite} is of the {suite.size} tasks of {own.name}, which has {len(own.splits)} in "
            f"the mteb installed\ninstall the mteb of constraints.txt, or take --suite '{MTEB}{own.name}'"
        )
    more = {task.name: task for task in suite.tasks}
    for name in more.keys() - own.splits.keys():
        raise UnknownNameError(f"task of {own.name}", name, own.splits)
    refused = {n: known[n].refused if n in known else "mteb does not describe it" for n in own.splits}
    left_out = {name: why for name, why in refused.items() if why}
    if len(left_out) == len(own.splits):
        raise ConfigError(f"{own.name} has no task that is scored here: {next(iter(left_out.values()))}")
    found = [
        TaskDefinition.model_validate(
            {
                "name": name,
                "splits": splits,
                "subsets": own.subsets[name],
                **(more[name].model_dump(exclude_unset=True) if name in more else {}),
            }
        )
        for name, splits in own.splits.items()
        if name not in left_out
    ]
    return found, left_out


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
        name: a shipped suite, the path of a YAML file, or `mteb:` and the name of a benchmark of mteb.
        protocol: overrides the suite's.
        subsets, splits: only these (each must exist in at least one task).
        data: folders looked in first; default HARNESS_DATA.

    Raises:
        HarnessError: everything that cannot be resolved, all at once, one line each.
    """
    definition = read_suite(name, cache)
    chosen, left_out = definitions(definition, cache)
    wanted = protocol or definition.protocol
    tasks = _resolve_all(chosen, wanted, subsets, splits, data, cache, definition.rng)
    counted = f" ({len(chosen)} of {len(chosen) + len(left_out)} tasks)" if left_out else ""
    return Suite(definition.suite, definition.title + counted, tasks, definition.aggregate, left_out=left_out)


def load_task(
    *names: str,
    protocol: str = "mteb",
    subsets: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    data: Sequence[str | Path] | None = None,
    cache: str | Path | None = None,
) -> Suite:
    """Tasks by name as a suite of their own; arguments and errors as in `load_suite`."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"task {repeated[0]!r} is named twice")
    shipped = _shipped(protocol)
    for name in names:
        if not NAME.fullmatch(name):
            raise UnknownNameError(
                "task", name, [], "a task's name has no slash, no line break, and 120 characters at most"
            )
    definitions = [shipped.get(name, TaskDefinition(name=name)) for name in names]
    try:
        tasks = _resolve_all(definitions, protocol, subsets, splits, data, cache)
    except UnknownNameError as error:
        home = home_of(error.name) if error.what == "task" else None
        if home is None:
            raise
        hint = f"suite {home.suite} has it, under another protocol: --protocol {home.protocol}"
        raise UnknownNameError("task", error.name, [], hint) from error
    return Suite("tasks", ", ".join(names), tasks, named=True)


def home_of(name: str) -> SuiteFile | None:
    """The first shipped suite that defines a task in full, under whichever protocol."""
    files = map(read_suite, suite_names())
    return next((s for s in files for task in s.tasks if task.name == name and task.source is not None), None)


def all_task_names(cache: str | Path | None = None, data: Sequence[str | Path] | None = None) -> list[str]:
    """Every task that can be named: shipped, in the data folders, and of mteb."""
    roots = data_folders(None if data is None else [Path(d) for d in data])
    return sorted(task_names(catalog(cache_folder(cache)), roots) | set(_shipped("mteb")))


def _shipped(protocol: str) -> dict[str, TaskDefinition]:
    """Tasks that the shipped suites define in full: with data of their own, or for such a protocol."""
    return {
        task.name: task
        for suite in map(read_suite, suite_names())
        for task in suite.tasks
        if task.source is not None and (task.source.folder is not None or _related(suite.protocol, protocol))
    }


def _related(protocol: str, other: str) -> bool:
    """Whether two protocols are editions of one ("jmteb-1.3.3", "jmteb"): they have the same tasks."""
    return protocol.partition("-")[0] == other.partition("-")[0]


def _resolve_all(
    definitions: Iterable[TaskDefinition],
    protocol: str,
    subsets: Sequence[str] | None,
    splits: Sequence[str] | None,
    data: Sequence[str | Path] | None,
    cache: str | Path | None,
    rng: Rng = "alone",
) -> tuple[Task, ...]:
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    roots = data_folders(None if data is None else [Path(d) for d in data])
    known = catalog(cache_folder(cache))
    tasks: list[Task] = []
    problems: list[HarnessError] = []
    for definition in definitions:
        try:
            tasks.append(resolve(definition, protocol, roots, known, rng))
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
