"""Suites: named lists of tasks in `tasks/*.yaml`, every task resolved."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.data.layout import by_hand
from harness.data.mteb_catalog import catalog
from harness.definition import NAME, Rng, TaskDefinition
from harness.errors import ConfigError, DataError, HarnessError, UnknownNameError, together
from harness.paths import cache_folder, data_folders
from harness.scorers import PROTOCOLS
from harness.suite_file import Aggregate, definitions, home_of, is_path, read_suite, suite_names
from harness.task import Task, resolve, task_names

Group = tuple[str, Rng, Sequence[TaskDefinition]]  # tasks of one protocol and choice of random stream


@dataclass(frozen=True)
class Suite:
    """Named tasks and the way their scores become means.

    Attributes:
        named: the tasks were named one by one: each must apply to the model.
        left_out: tasks of the benchmark that are not scored here, and why: its means are over the others.
        outside: tasks without any of the splits and subsets that were asked for, and why.
        written: how a command line names it: a suite's name or file, or `--task` options.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]
    aggregate: Aggregate = field(default_factory=Aggregate)
    named: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)
    outside: Mapping[str, str] = field(default_factory=dict)
    written: str = "SUITE"

    def fetching(self, model: str = "") -> str:
        """The command that gets its data, and a model's files."""
        return " ".join(part for part in ("harness prefetch", self.written, model, "--data DIR") if part)


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
        name: a shipped suite, the path of a YAML file, or `mteb:` and the name of a benchmark of mteb.
        protocol: overrides the suite's.
        subsets, splits: only these (each must exist in at least one task).
        data: folders looked in first; default HARNESS_DATA.
        fetched: instead of them a folder that is to be filled: every task is resolved against where its data
            come from, but for those that someone else put there.

    Raises:
        HarnessError: everything that cannot be resolved, all at once, one line each.
    """
    definition = read_suite(name, cache)
    chosen, left_out = definitions(definition, cache)
    wanted = [(protocol or definition.protocol, definition.rng, chosen)]
    try:
        tasks, outside = _resolve_all(wanted, subsets, splits, _roots(data, fetched), cache)
    except (ConfigError, DataError) as error:
        if protocol in (None, definition.protocol):
            raise
        raise ConfigError(
            f"suite {name} is written for protocol {definition.protocol}; {protocol} cannot score all of it, "
            f"for one:\n{str(error).splitlines()[0]}\n"
            f"leave the protocol out, or name tasks that {protocol} has (harness tasks WORD finds them)"
        ) from error
    title = definition.title
    if left_out:
        title += f" ({len(chosen)} of {len(chosen) + len(left_out)} tasks)"
    return Suite(
        definition.suite,
        title,
        tasks,
        definition.aggregate,
        left_out=left_out,
        outside=outside,
        written=shlex.quote(name),
    )


def load_task(
    *names: str,
    protocol: str | None = None,
    subsets: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    data: Sequence[str | Path] | None = None,
    cache: str | Path | None = None,
    fetched: Path | None = None,
) -> Suite:
    """Tasks by name as a suite of their own; arguments and errors as in `load_suite`.

    Args:
        names: of tasks, or paths of YAML files in the form of a suite, whose tasks are all taken.
        protocol: of every task; default a file's own for its tasks, mteb for the others.
    """
    shipped = _shipped(protocol or "mteb")
    groups: list[Group] = []
    for name in names:
        if is_path(name):
            read = read_suite(name, cache)
            own, rng, wanted = read.protocol, read.rng, definitions(read, cache)[0]
        elif NAME.fullmatch(name):
            own, rng, wanted = "mteb", "alone", [shipped.get(name, TaskDefinition(name=name))]
        else:
            raise UnknownNameError(
                "task", name, [], "a task's name has no slash, no line break, and 120 characters at most"
            )
        groups.append((protocol or own, rng, wanted))
    taken = [definition.name for _, _, wanted in groups for definition in wanted]
    repeated = sorted({name for name in taken if taken.count(name) > 1})
    if repeated:
        raise ConfigError(f"task {repeated[0]!r} is named twice")
    try:
        tasks, outside = _resolve_all(groups, subsets, splits, _roots(data, fetched), cache)
    except UnknownNameError as error:
        home = home_of(error.name) if error.what == "task" else None
        if home is None:
            raise
        hint = f"suite {home.suite} has it, under another protocol: --protocol {home.protocol}"
        raise UnknownNameError("task", error.name, [], hint) from error
    written = " ".join(f"--task {shlex.quote(name)}" for name in names)
    return Suite("tasks", ", ".join(taken), tasks, named=True, outside=outside, written=written)


def load_definition(
    definition: TaskDefinition,
    protocol: str,
    *,
    rng: Rng = "alone",
    data: Sequence[str | Path] | None = None,
    cache: str | Path | None = None,
) -> Task:
    """One task of a suite's file, resolved; `rng` is the suite's, the rest as in `load_suite`."""
    groups: list[Group] = [(protocol, rng, [definition])]
    (task,), _ = _resolve_all(groups, None, None, _roots(data, None), cache)
    return task


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
    groups: Sequence[Group],
    subsets: Sequence[str] | None,
    splits: Sequence[str] | None,
    roots: Callable[[str], Sequence[Path]],
    cache: str | Path | None,
) -> tuple[tuple[Task, ...], dict[str, str]]:
    for protocol, _, _ in groups:
        if protocol not in PROTOCOLS:
            raise UnknownNameError("protocol", protocol, PROTOCOLS, f"known: {', '.join(PROTOCOLS)}")
    known = catalog(cache_folder(cache))
    tasks: list[Task] = []
    problems: list[HarnessError] = []
    for protocol, rng, wanted in groups:
        for definition in wanted:
            try:
                tasks.append(resolve(definition, protocol, roots(definition.name), known, rng))
            except HarnessError as error:
                problems.append(error)
    if problems:
        raise together(problems)
    return _narrowed(tasks, subsets, splits)


def _roots(data: Sequence[str | Path] | None, fetched: Path | None) -> Callable[[str], Sequence[Path]]:
    """A task's name to the data folders it is looked up in."""
    if fetched is not None:
        return lambda name: [fetched] if by_hand(fetched, name) else []
    roots = data_folders(None if data is None else [Path(d) for d in data])
    return lambda name: roots


def _narrowed(
    tasks: Sequence[Task], subsets: Sequence[str] | None, splits: Sequence[str] | None
) -> tuple[tuple[Task, ...], dict[str, str]]:
    """Only the named splits and subsets, and the tasks without any; where no task has one, an error."""
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
    wanted = " of ".join(
        f"{what} {' or '.join(names)}" for what, names in (("subset", subsets), ("split", splits)) if names
    )
    empty = {task.name: f"has no {wanted}" for task in kept if not task.entries}
    if kept and len(empty) == len(kept):
        raise ConfigError(f"no task has {wanted}")
    return tuple(task for task in kept if task.entries), empty
