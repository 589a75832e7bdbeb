"""The tasks that several sides have, told from their results where no suite is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.data.mteb_catalog import TaskInfo
from harness.report.sides import Side
from harness.task import TYPES
from harness.types import Result

Entry = tuple[str, str]  # split, subset


@dataclass(frozen=True)
class Item:
    """A task as stored results tell of it; attributes as of `harness.task.Task`."""

    name: str
    kind: str
    column: str
    shown: str
    entries: tuple[Entry, ...]
    members: tuple[Item, ...] = ()


def shared_tasks(
    sides: Sequence[Side], known: Mapping[str, TaskInfo], members: Mapping[str, Sequence[str]]
) -> list[Item]:
    """The tasks that all sides have, on the splits and subsets that all have, in the order of the first.

    A mean of other tasks counts once: those stand inside it. Where they are not all there, it stands alone
    if none of them is, and is left out if some are.

    Args:
        known: mteb's tasks, which tell metric and type of what mteb's own files hold.
        members: aggregate to the tasks whose mean it is.
    """
    entries: dict[str, list[Entry]] = {}
    for task, split, subset in sides[0].results:
        if all((task, split, subset) in side.results for side in sides):
            entries.setdefault(task, []).append((split, subset))
    items = {
        name: _item(name, own, [side.results[name, *own[0]] for side in sides], known)
        for name, own in entries.items()
    }
    hidden: set[str] = set()
    for name in list(items):
        parts = members.get(name, ())
        if parts and items.keys() >= set(parts):
            items[name] = replace(items[name], members=tuple(items[part] for part in parts))
            hidden |= set(parts)
        elif items.keys() & set(parts) or (items[name].kind == "aggregate" and not parts):
            hidden.add(name)
    return [item for name, item in items.items() if name not in hidden]


def _item(
    name: str, entries: Sequence[Entry], results: Sequence[Result], known: Mapping[str, TaskInfo]
) -> Item:
    ours = next((r for r in results if r.data_fingerprint), results[0])
    info = known.get(name) if ours.protocol == "mteb" else None
    kind = ours.kind or (info.kind if info else "")
    shown = ours.main_metric if ours.data_fingerprint or info is None else info.main
    return Item(name, kind, info.type if info else TYPES.get(kind, ""), shown, tuple(entries))
