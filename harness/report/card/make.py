"""The four formats of `harness card`: what each prints, and which files it would change."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import ConfigError, DataError
from harness.report.card.eval_edit import entry_text, eval_files
from harness.report.card.eval_results import Benchmark, entries
from harness.report.card.export import json_files, mteb_json
from harness.report.card.files import File, card_file
from harness.report.card.groups import Metrics, Names, entry_name
from harness.report.card.plan import Rules
from harness.report.card.render import model_index_text
from harness.report.card.source import Known, card_groups
from harness.report.card.table import results_table, table_file
from harness.types import Result

Format = Literal["model-index", "eval-results", "table", "mteb-json"]
Read = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Made:
    """What a format makes of results.

    Attributes:
        text: for the screen.
        data: the same for machines, in JSON's types.
        files: what would change, given a reader of files by their names and the README's name.
    """

    text: str
    data: Any
    files: Callable[[Read, str], list[File]]


def make(
    form: Format,
    results: Sequence[Result],
    label: str,
    known: Known,
    *,
    profile: str | None = None,
    metrics: Metrics | None = None,
    mains: Mapping[str, str] | None = None,
    metric_names: Names = "v2",
    digits: int | None = None,
    rules: Rules,
    benchmarks: Sequence[Benchmark] = (),
) -> Made:
    """One model's results in one format.

    Args:
        label: model, revision and variant, for the table.
        metrics: default all in a model-index, the main ones in a table.
        benchmarks: for `eval-results`.
        others: as `card_groups` and `plan`.

    Raises:
        HarnessError: as the format's own functions.
    """
    if form == "eval-results":
        wanted = entries(results, benchmarks, digits)
        return Made(
            "".join(f"# {name}\n{entry_text(entry)}" for name, entry in wanted.items()),
            wanted,
            lambda read, _: eval_files(wanted, read, on_conflict=rules.on_conflict, digits=digits),
        )
    if form == "mteb-json":
        documents = mteb_json(results, known)
        return Made(
            json.dumps(list(documents.values()), ensure_ascii=False, indent=2, sort_keys=True),
            list(documents.values()),
            lambda read, _: json_files(documents, read),
        )
    groups = card_groups(
        results,
        known,
        profile,
        metrics=metrics or ("main" if form == "table" else "all"),
        mains=mains or {},
        metric_names=metric_names,
        digits=digits,
    )
    if form == "table":
        text = results_table(groups, label, digits)
        rows = [{"task": g.task, "entry": g.entry, "metrics": g.data["metrics"]} for g in groups]
        return Made(text, rows, lambda read, name: [table_file(name, _there(read, name), text)])
    scale = max(group.scale for group in groups)
    title = entry_name(results[0].model, "mteb" if scale == 100 else "generic")
    shown = [dict(group.data) for group in groups]
    return Made(
        model_index_text(title, shown),
        {"model-index": [{"name": title, "results": shown}]},
        lambda read, name: [card_file(name, read(name), groups, title, rules)],
    )


def decided(files: Sequence[File]) -> Sequence[File]:
    """The files, where nothing in them needs a decision.

    Raises:
        ConfigError: values or revisions conflict; names the first of them.
    """
    found = [(file.path, c) for file in files for c in file.changes if c.what == "conflicting"]
    if not found:
        return files
    path, first = found[0]
    raise ConfigError(
        f"{path}, line {first.line}: {first.name} is {first.old} there and {first.new} here"
        + (f"; {len(found) - 1} more conflicts" if len(found) > 1 else "")
        + "\nvalues: --on-conflict update or keep; revisions: --replace-revision or --keep-both, or keep"
    )


def _there(read: Read, name: str) -> bytes:
    raw = read(name)
    if raw is None:
        raise DataError(f"{name}: no such file")
    return raw
