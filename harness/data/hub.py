"""Hub data sets by name and revision, for tasks that mteb does not carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.data.build import FIELDS, LABELLED, RANKING, build
from harness.data.examples import Examples
from harness.data.mteb_source import loading_errors, quiet, unreachable
from harness.data.rows import Columns, check_columns
from harness.errors import DataError
from harness.network import cut_off

_RENAMES = {
    "corpus": {"id": "_id"},
    "queries": {"id": "_id"},
    "qrels": {"query_id": "query-id", "corpus_id": "corpus-id"},
    "candidates": {"query_id": "query-id", "corpus_ids": "corpus-ids"},
}


def load(
    name: str,
    kind: str,
    split: str,
    *,
    hub: str,
    revision: str,
    config: str | None = None,
    configs: Mapping[str, str] | None = None,
    train_split: str = "train",
    columns: Mapping[str, str] | None = None,
    document: str | None = None,
    offline: bool = False,
) -> Examples:
    """Examples of one split of a hub data set at a pinned revision.

    Args:
        name: the task's name, for messages.
        config: configuration of a data set of rows; for ranking kinds the subset, `<config>-corpus` ...
        configs: part ("corpus", "queries", "qrels", "candidates") to configuration, ranking kinds.

    Raises:
        DataError: the data are not in the cache and the hub cannot be reached, or a row is bad.
    """
    ranking = kind in RANKING
    sources: dict[str, tuple[str | None, str]]
    if ranking:
        own_names = {"corpus": "corpus", "queries": "queries", "qrels": "qrels" if config else "default"}
        wanted = dict(
            configs or {part: f"{config}-{own}" if config else own for part, own in own_names.items()}
        )
        sources = {part: (own, split) for part, own in wanted.items()}
    else:
        sources = {"rows": (config, split)}
        if kind in LABELLED:
            sources["train"] = (config, train_split)
    parts: dict[str, Columns] = {}
    for part, (own, wanted_split) in sources.items():
        table = _table(name, hub, revision, own, wanted_split, offline, alone=part in ("corpus", "queries"))
        own_columns = dict(columns or {})
        if ranking:
            own_columns |= {o: t for o, t in _RENAMES[part].items() if t in table.column_names}
        where = f"{hub}@{revision[:12]} ({own or 'default'}, {wanted_split})"
        parts[part] = check_columns(
            enumerate(table, 1), FIELDS[part if ranking else kind], own_columns, where=where
        )
    return build(kind, parts, dict.fromkeys(parts, hub), document)


def _table(
    name: str, hub: str, revision: str, config: str | None, split: str, offline: bool, *, alone: bool
) -> Any:
    """One split; with `alone`, the only split of a configuration under whatever name it has."""
    import datasets

    with quiet(), cut_off(offline):
        try:
            splits = datasets.load_dataset(hub, config, revision=revision)
        except loading_errors() as error:
            raise DataError(unreachable(name, {"path": hub, "revision": revision}, error)) from error
    if split in splits:
        return splits[split]
    if alone and len(splits) == 1:  # corpora often stand under a split name of their own
        return next(iter(splits.values()))
    raise DataError(f"{hub}@{revision}: no split {split!r} (there is: {', '.join(splits)})")
