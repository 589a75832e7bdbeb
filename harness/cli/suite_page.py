"""What `harness show SUITE` prints: its tasks, how each is scored, how large it is, what time it takes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.cli import common


def show_suite(
    name: str,
    *,
    data: list[Path] | None,
    cache: Path | None,
    rate: float | None,
    model: str | None,
    catalog: Path | None,
    json: bool,
) -> None:
    """Print a suite: a table for people, or JSON.

    Args:
        rate: tokens a second; default, the model's last measured one.
        model: whose max length counts, and whose rate.
    """
    from harness.data.mteb_sizes import sizes, task_size, total
    from harness.paths import cache_folder
    from harness.suite import load_suite

    suite = load_suite(name, data=data, cache=cache)
    max_length, measured = (None, None) if model is None else _asked(model, catalog, cache)
    speed = rate or measured
    known = sizes(cache_folder(cache))
    found = [task_size(task, known, max_length) for task in suite.tasks]
    whole = total([size for size in found if size is not None])
    if json:
        tasks = [_facts(task, size, speed) for task, size in zip(suite.tasks, found, strict=True)]
        common.answer_json(
            {
                "suite": suite.name,
                "title": suite.title,
                "aggregate": suite.aggregate.model_dump(mode="json"),
                "tasks": tasks,
                "total": None if whole is None else _size_facts(whole, speed),
                "unknown": [task.name for task, size in zip(suite.tasks, found, strict=True) if size is None],
                "tokens_per_second": speed,
                "max_length": max_length,
                "left_out": dict(suite.left_out),
            }
        )
        return
    count, average = len(suite.tasks), suite.aggregate.average
    means = {"types": "the means of its columns", "tasks": "tasks", "datasets": "data sets"}[average]
    common.answer(f"{suite.name}: {suite.title}")
    common.answer(
        f"{count} task{'s' * (count > 1)}, protocol {suite.tasks[0].protocol}; the average is over {means}\n"
    )
    rows = [
        [*_task_cells(task), *_size_cells(size, speed)] for task, size in zip(suite.tasks, found, strict=True)
    ]
    rows.append(["total" if None not in found else "total known", "", "", "", *_size_cells(whole, speed)])
    heads = ["task", "kind", "split/subset", "metric", "documents", "queries", "texts", "characters"]
    common.answer(common.table([*heads, "tokens", "time"], rows))
    for line in _notes(suite, found, model, rate, measured):
        common.answer(line)


def _asked(model: str, catalog: Path | None, cache: Path | None) -> tuple[int | None, float | None]:
    """The max length of a model and the rate it was last measured at; no weights are read.

    A model of the catalog whose files are not on this machine has its row's length, and no rate.
    """
    from harness.errors import ModelError
    from harness.models import load_model
    from harness.models.catalog import load_catalog
    from harness.models.rates import recall

    try:
        card = load_model(model, catalog=catalog, cache=cache, offline=True).card
    except ModelError:
        row = load_catalog(catalog).find(model)
        if row is None:
            raise
        return row.max_length, None
    return card.max_length, recall(cache, card)


def _task_cells(task: Any) -> list[str]:
    metrics = ", ".join([task.shown, *task.also])
    return [task.name, task.kind, _places(task.entries), metrics]


def _places(entries: Sequence[tuple[str, str]]) -> str:
    splits, subsets = (list(dict.fromkeys(entry[at] for entry in entries)) for at in (0, 1))
    first = ",".join(splits) if len(splits) < 3 else f"{len(splits)} splits"
    return f"{first}/{','.join(subsets) if len(subsets) < 3 else f'{len(subsets)} subsets'}"


def _size_cells(size: Any, speed: float | None) -> list[str]:
    from harness.cli.progress import duration

    if size is None:
        return ["?"] * 6
    counts = (size.documents, size.queries, size.texts, size.characters, size.tokens)
    more = "+" if size.partly else ""
    shown = ["-" if count is None else f"{count:,}{more}" for count in counts]
    return [*shown, f"{duration(size.tokens / speed)}{more}" if speed else "?"]


def _facts(task: Any, size: Any, speed: float | None) -> dict[str, Any]:
    return {
        "name": task.name,
        "kind": task.kind,
        "type": task.type,
        "column": task.column,
        "protocol": task.protocol,
        "scorer": f"{task.scorer.name}@{task.scorer.version}",
        "main": task.main,
        "shown": task.shown,
        "also": list(task.also),
        "entries": [{"split": split, "subset": subset} for split, subset in task.entries],
        "data": str(task.folder.path) if task.folder else task.dataset,
        "revision": task.revision,
        "expect": dict(task.expect),
        "size": None if size is None else _size_facts(size, speed),
    }


def _size_facts(size: Any, speed: float | None) -> dict[str, Any]:
    return {
        "documents": size.documents,
        "queries": size.queries,
        "texts": size.texts,
        "characters": size.characters,
        "tokens": size.tokens,
        "seconds": round(size.tokens / speed, 1) if speed else None,
        "partly": size.partly,
    }


def _notes(
    suite: Any, found: Sequence[Any], model: str | None, rate: float | None, measured: float | None
) -> list[str]:
    """What the figures rest on, and what is missing from them."""
    notes = []
    unknown = [task.name for task, size in zip(suite.tasks, found, strict=True) if size is None]
    if len(unknown) < len(found):
        notes.append(
            "sizes are those of mteb's statistics, texts that tasks share counted in each; tokens are guessed"
        )
    if any(size is not None and size.partly for size in found):
        notes.append(
            "+: of the tested split alone; no statistics of the dev and training rows read beside it"
        )
    if unknown:
        some = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        notes.append(
            f"no statistics of {some}; "
            f"harness eval MODEL --suite {shlex.quote(suite.name)} --dry-run counts them"
        )
    if rate or measured:
        notes.append(
            f"time at {rate or measured:,.0f} tokens a second" + ("" if rate else f", as measured of {model}")
        )
    elif model is not None:
        notes.append(f"{model} was not timed here yet; --rate TOKENS_PER_SECOND gives the time")
    else:
        notes.append("--rate TOKENS_PER_SECOND or --model MODEL gives the time")
    notes += [f"left out: {name} ({why})" for name, why in suite.left_out.items()]
    return notes
