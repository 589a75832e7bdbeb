"""How a task is scored: the format of its rows, the scorer, its settings and the protocol they make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.data import files, layout
from harness.data.judged import ROWS
from harness.data.mteb_catalog import TaskInfo
from harness.definition import TaskDefinition
from harness.errors import DataError, UnknownNameError
from harness.scorers import OF_ROWS, Scorer, scorer

_DEPTH = re.compile(r"_at_(\d+)$")


def rows_of(
    definition: TaskDefinition, kind: str, protocol: str, folder: layout.Folder | None, info: TaskInfo | None
) -> str:
    """The scorer's own row format that the data have; empty where they have their kind's."""
    if kind in OF_ROWS:
        return kind
    for rows, own in OF_ROWS.items():
        if own.kind != kind:
            continue
        meant = definition.scorer == own.name or (definition.scorer is None and protocol in own.protocols)
        if folder is not None:
            meant = meant or (definition.scorer is None and info is None)
            return rows if meant and not layout.has_parts(folder) else ""
        source = definition.source
        if source is not None and source.files is not None:
            named = files.files_of(definition.name, kind, source.files).values() if meant else ()
            return rows if meant and all(set(parts) == {ROWS} for parts in named) else ""
        return rows if meant and source is not None and source.hub and not source.configs else ""
    return ""


def protocol_of_rows(name: str, rows: str, chosen: Scorer, protocol: str) -> str:
    """The protocol of a score of rows that only one scorer reads. Raises DataError for any other scorer."""
    if chosen.rows != rows:
        raise DataError(
            f"task {name}: its rows are of the format {rows}, which the scorer {chosen.name} cannot read; "
            f"leave the scorer out"
        )
    own = chosen.protocols[0]
    if protocol not in (own, "mteb", "custom"):
        raise DataError(
            f"task {name}: protocol {protocol} has no scorer for its rows ({rows}); "
            f"name protocol {own}, or none"
        )
    return own if protocol == "mteb" else protocol  # mteb: nobody named one, and mteb has no such rows


def scorer_of(
    definition: TaskDefinition,
    kind: str,
    protocol: str,
    info: TaskInfo | None,
    folder: layout.Folder | None,
    own_files: bool,
) -> Scorer:
    """The scorer that the definition names, else the protocol's own, else mteb's.

    For data that mteb does not know, clustering goes by sets where their rows hold lists.
    """
    own, source = scorer(kind, definition.scorer, protocol), definition.source
    if definition.scorer or protocol in own.protocols:
        return own
    if info is not None:
        return scorer(kind, info.scorer)
    if kind == "clustering" and folder is not None and layout.holds_sets(folder):
        return scorer(kind, "minibatch_kmeans")
    if kind == "clustering" and own_files and source is not None and source.hub is None:
        by_sets = files.holds_sets(definition.name, source.files or {}, source.format, definition.columns)
        return scorer(kind, "minibatch_kmeans") if by_sets else own
    return own


def settings_of(
    chosen: Scorer, info: TaskInfo | None, definition: TaskDefinition, protocol: str
) -> dict[str, Any]:
    """The scorer's settings, complete: its defaults, mteb's for the task, the definition's own."""
    unknown = set(definition.settings) - set(chosen.defaults)
    if unknown:
        raise UnknownNameError(f"setting of {chosen.kind} ({definition.name})", min(unknown), chosen.defaults)
    settings = {**chosen.defaults, **chosen.by_protocol.get(protocol, {})}
    if info is not None and info.scorer == chosen.name:
        settings |= info.settings
    elif chosen.name == "bootstrap_kmeans":
        # Data that mteb does not know are small as a rule; 4 % of them would be nothing to cluster.
        settings |= {"max_fraction_of_documents_to_embed": None}
    return settings | definition.settings


def refuse_metric(name: str, chosen: Scorer, metric: str, settings: Mapping[str, Any]) -> None:
    """Raise UnknownNameError for a metric that a task's scorer never gives, as far as that shows early."""
    module = chosen.load()
    known = (*getattr(module, "METRICS", ()), *getattr(module, "CROSS_METRICS", ()))
    depth, depths = _DEPTH.search(metric), settings.get("k_values")
    if depths and depth and not settings.get("extra"):  # which have depths of their own
        known = () if int(depth[1]) in depths else tuple(f"{metric[: depth.start()]}_at_{k}" for k in depths)
    if known and metric not in known:
        hint = f"scorer {chosen.name} gives {', '.join(known)}"
        raise UnknownNameError(f"metric of {name}", metric, known, hint)
