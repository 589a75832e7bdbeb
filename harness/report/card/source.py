"""From a store to what a card shows: which results of a model, in which profile and by which names."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.data.mteb_catalog import TaskInfo
from harness.errors import ConfigError, StoreError
from harness.models.catalog import Catalog
from harness.report.card.groups import GENUINE, TYPES, Group, groups_of
from harness.report.card.index import OldGroup
from harness.report.card.match import holds
from harness.report.sides import held_protocol, own_side
from harness.store import Store
from harness.suite import Suite
from harness.types import Result


@dataclass(frozen=True)
class Known:
    """What mteb's table knows of tasks.

    Attributes:
        datasets: task to its data set's path on the Hub.
        types: task to mteb's task type.
        shared: paths that several tasks have.
    """

    datasets: Mapping[str, str]
    types: Mapping[str, str]
    shared: Collection[str]


def known_tasks(infos: Mapping[str, TaskInfo]) -> Known:
    """The part of mteb's table that cards need."""
    paths = Counter(info.path for info in infos.values())
    return Known(
        {task: info.path for task, info in infos.items()},
        {task: info.type for task, info in infos.items()},
        frozenset(path for path, tasks in paths.items() if tasks > 1),
    )


def model_results(
    store: Store, model: str, catalog: Catalog, *, protocol: str | None = None, suite: Suite | None = None
) -> tuple[list[Result], str]:
    """The results of `NAME[@REVISION][+VARIANT]` that a card is about, and the label of the model.

    Args:
        protocol: default the suite's, else mteb where it has results, else the only one that has.
        suite: only its tasks, splits and subsets.

    Raises:
        ConfigError: several protocols and none is named.
        StoreError: nothing of the suite is stored; or as `own_side`.
    """
    if protocol is None:
        protocol = suite.tasks[0].protocol if suite and suite.tasks else held_protocol(store, model, catalog)
    side = own_side(store, model, protocol, catalog, f"harness eval {shlex.quote(model)}")
    found = list(side.results.values())
    if suite is not None:
        wanted = {(task.name, *entry) for task in suite.tasks for entry in task.entries}
        found = [r for r in found if (r.task, r.split, r.subset) in wanted]
        if not found:
            raise StoreError(
                f"no results of {side.label} on {suite.name} in {store.root}\n"
                f"make them with: harness eval {model} --suite {suite.name}"
            )
    return found, side.label


def card_groups(
    results: Sequence[Result], known: Known, profile: str | None = None, **options: Any
) -> list[Group]:
    """The groups of a card: tasks of mteb in the profile `mteb`, others in `generic`, unless one is named.

    Args:
        options: as `groups_of`.

    Raises:
        ConfigError: profile `mteb` for a task that is none of mteb's; or as `groups_of`.
    """
    if profile == "mteb":
        for result in results:
            if result.task not in known.types:
                raise ConfigError(f"{result.task} is no task of mteb: --profile generic, or none, for it")
    made: list[Group] = []
    for name in ("mteb", "generic"):
        own = [r for r in results if name == (profile or profile_of(r, known))]
        if own:
            chosen = options if name == "mteb" or profile else {**options, "metric_names": "v2"}
            paths = known.datasets if name == "mteb" else {}
            made += groups_of(own, name, datasets=paths, types=known.types, **chosen)
    return sorted(made, key=lambda group: (group.task, group.entry))


def profile_of(result: Result, known: Known) -> str:
    """`mteb` for a task of mteb scored by its protocol, else `generic`."""
    return "mteb" if result.protocol in GENUINE and result.task in known.types else "generic"


def written_by(
    results: Iterable[Result], known: Known, profile: str | None = None
) -> Callable[[OldGroup], bool]:
    """Whether a group of a card holds the values of one of these results and nothing else: then we wrote it.

    Args:
        results: everything that is stored of the model, any revision, variant and protocol.
    """
    runs: dict[tuple[Any, ...], list[Result]] = defaultdict(list)
    for result in results:
        known_type = result.kind in TYPES or result.task in known.types
        if known_type and (profile != "mteb" or profile_of(result, known) == "mteb"):
            runs[result.revision, result.variant, result.protocol].append(result)
    candidates = [
        group
        for run in runs.values()
        for spelling in (("v2",) if profile == "generic" else ("v1", "v2"))
        for group in card_groups(run, known, profile, metric_names=spelling)
    ]
    return lambda old: any(holds(group, old, known.shared) for group in candidates)
