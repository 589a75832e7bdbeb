"""What a suite's YAML says, or a benchmark of mteb: named tasks, not yet resolved against any data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from harness.data.mteb_catalog import benchmark, benchmarks, catalog
from harness.definition import Rng, Strict, TaskDefinition, anchored
from harness.errors import ConfigError, UnknownNameError
from harness.paths import cache_folder, tasks_folder
from harness.yamlfile import load_yaml

MTEB = "mteb:"  # in front of the name of any benchmark of mteb
Protocol = Literal["mteb", "jmteb-1.3.3", "jmteb", "cmteb-v1", "sbert", "custom"]


class Aggregate(Strict):
    """How a suite's scores become means.

    `expect` holds published means: model to `tasks`, `types` or a column's name to the mean over them.
    """

    columns: list[str] = Field(default_factory=list)
    average: Literal["tasks", "types", "datasets"] = "tasks"
    expect: dict[str, dict[str, float]] = Field(default_factory=dict)


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


def suite_names() -> list[str]:
    """The suites that ship with the program."""
    return sorted(path.stem for path in tasks_folder().glob("*.yaml"))


def read_suite(name: str, cache: str | Path | None = None) -> SuiteFile:
    """A suite's definition: a shipped one, a YAML file, or `mteb:NAME` for a benchmark of mteb.

    The paths of a file's own data are seen from here.

    Raises:
        UnknownNameError: no suite of that name.
        ConfigError: no such file, or what is wrong in it, with the line.
    """
    if name.startswith(MTEB):
        own = benchmark(name.removeprefix(MTEB), cache_folder(cache))
        by_types = "mean_task_type" in own.means and "mean_task" not in own.means
        average = Aggregate(average="types" if by_types else "tasks")
        return SuiteFile(suite=MTEB + own.name, title=own.name, benchmark=own.name, aggregate=average)
    if not is_path(name) and name not in suite_names():
        known = [*suite_names(), *(MTEB + own for own in benchmarks(cache_folder(cache)))]
        hint = "harness suites lists them; mteb:NAME is a benchmark of mteb"
        raise UnknownNameError("suite", name, known, hint)
    path = Path(name) if is_path(name) else tasks_folder() / f"{name}.yaml"
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


def is_path(name: str) -> bool:
    """Whether a name is that of a YAML file."""
    return name.endswith((".yaml", ".yml"))


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


def home_of(name: str) -> SuiteFile | None:
    """The first shipped suite that defines a task in full, under whichever protocol."""
    files = map(read_suite, suite_names())
    return next((s for s in files for task in s.tasks if task.name == name and task.source is not None), None)
