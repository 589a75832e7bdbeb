"""Hub data sets by name and revision, for tasks that mteb does not carry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.data import jmteb_rows
from harness.data.build import LABELLED, RANKING, build
from harness.data.examples import Examples
from harness.data.judged import ASKED, ROWS
from harness.data.mteb_source import loading_errors, quiet, unreachable
from harness.data.naming import fields_of, renames
from harness.data.rows import Columns, check_columns
from harness.errors import DataError, MissingSplitError
from harness.network import cut_off


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
        configs: part ("corpus", "queries", "qrels", "candidates"; or "rows" of texts) to configuration,
            ranking kinds. Queries in JMTEB's own columns bring their judgements (and candidates) with them.

    Raises:
        DataError: the data are not in the cache and the hub cannot be reached, or a row is bad.
    """
    ranking = kind in RANKING
    sources: dict[str, tuple[str | None, str]]
    if ranking:
        own_names = {"corpus": "corpus", "queries": "queries", "qrels": "qrels" if config else "default"}
        if kind == "reranking":
            own_names["candidates"] = "top_ranked"
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
        alone = part == "corpus" or (part == "queries" and "qrels" in sources)
        table = _table(name, hub, revision, own, wanted_split, offline, alone=alone)
        where = f"{hub}@{revision[:12]} ({own or 'default'}, {wanted_split})"
        if part == "queries" and jmteb_rows.is_queries(table.column_names):
            parts |= jmteb_rows.query_parts(kind, enumerate(table, 1), where)
            continue
        key = ASKED if part == "queries" and "qrels" not in sources else part if ranking else ROWS
        called = renames(kind, key, columns or {}, table.column_names, where=where, document=document)
        fields = fields_of(kind, key, document)
        parts[key if ranking else part] = check_columns(enumerate(table, 1), fields, called, where=where)
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
    raise MissingSplitError(f"{hub}@{revision}: no split {split!r} (there is: {', '.join(splits)})")


def download(name: str, hub: str, revision: str, path: str, *, offline: bool = False) -> Path:
    """One file of a hub repository at a pinned revision, from the hub's cache or the hub.

    Read as it is, with the reader of local files: datasets' own would take "NA" for missing and guess types.

    Raises:
        DataError: neither in the cache nor to be had.
    """
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    place = {"path": f"{hub}/{path}", "revision": revision}
    failures: tuple[type[Exception], ...] = (*loading_errors(), HfHubHTTPError, HFValidationError)
    with quiet(), cut_off(offline):
        try:
            found = huggingface_hub.hf_hub_download(
                hub, path, repo_type="dataset", revision=revision, local_files_only=offline
            )
        except failures as error:
            raise DataError(unreachable(name, place, error)) from error
    return Path(found)
