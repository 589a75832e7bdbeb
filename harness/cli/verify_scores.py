"""Stored scores against published ones, for `harness verify`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import common

if TYPE_CHECKING:
    from harness.models.catalog import Catalog, Row
    from harness.report.sides import Side
    from harness.report.verify.published import Figure
    from harness.suite import Suite


def compare_scores(
    model: str,
    against: str,
    suite: str | None,
    card: Path | None,
    published: Path | None,
    results: Path,
    catalog: Path | None,
    data: list[Path] | None,
    cache: Path | None,
    *,
    protocol: str | None,
    offline: bool,
    json: bool,
) -> int:
    """Compare, print, and return the exit code.

    Raises:
        HarnessError: results or published scores are missing, or have nothing in common.
    """
    from harness.cli.lacking import default_suite
    from harness.errors import StoreError
    from harness.models.catalog import load_catalog
    from harness.report.sides import held_protocol, own_side
    from harness.report.verify import judge as report
    from harness.report.verify.averages import mean_lines, means, verify_means
    from harness.store import Store
    from harness.suite import load_suite

    rows = load_catalog(catalog)
    row = rows.find(_name(model))
    if suite is None and against == "expect":
        suite = default_suite(model, catalog) or "smoke"
    chosen = load_suite(suite, protocol=protocol, data=data, cache=cache) if suite else None
    store = Store(results, repair=False)
    if protocol is None:
        protocol = chosen.tasks[0].protocol if chosen else held_protocol(store, model, rows)
    command = f"harness eval {shlex.quote(model)}" + (f" --suite {shlex.quote(suite)}" if suite else "")
    side = own_side(store, model, protocol, rows, f"{command} (--model-only needs none)")
    figures, averages, source = _figures(
        model, against, chosen, card, published, rows, row, protocol, offline
    )
    tasks = chosen.tasks if chosen else None
    found = report.verify(side, figures, tasks, model=shlex.quote(model), row=row)
    found += verify_means(side, averages, tasks or ())
    code = report.exit_code(found)
    if code == 2:
        lines = [f"nothing that {source} publishes is among the results of {side.label}"]
        lines += report.notes(found)[:3]
        made = command if suite else f"{command} --task {shlex.quote(figures[0].task) if figures else 'TASK'}"
        raise StoreError("\n".join([*lines, f"make them with: {made}"]))
    for problem in store.problems:
        common.say(problem)
    computed = means(found, tasks)
    if json:
        common.answer_json(report.to_json(found, side.label, source, computed))
        return code
    common.answer(common.table(report.HEADER, report.rows(found)))
    for line in (*report.notes(found), *mean_lines(computed)):
        common.say(line)
    common.say(report.headline(found, side.label, source))
    return code


def _figures(
    model: str,
    against: str,
    suite: Suite | None,
    card: Path | None,
    published: Path | None,
    rows: Catalog,
    row: Row | None,
    protocol: str,
    offline: bool,
) -> tuple[list[Figure], list[Figure], str]:
    """What was published of tasks, as means of a suite, and how a line names where."""
    from harness.errors import ConfigError
    from harness.report.verify.averages import expected_means
    from harness.report.verify.published import card_figures, expected_figures, stored_figures

    if against == "card":
        hub = row.hub if row and row.hub else _name(model)
        path = card or _hub_card(hub, offline)
        return card_figures(path, protocol), [], str(card or f"the card of {hub}")
    if against == "published":
        assert published is not None
        side = _public_side(published, model, protocol, rows)
        return stored_figures(side, str(published)), [], f"{side.label} in {published}"
    assert suite is not None
    spellings = [_name(model), *([row.name, row.title, row.hub or "", *row.aliases] if row else [])]
    figures = expected_figures(suite.tasks, spellings, suite.name)
    averages = expected_means(suite.aggregate.expect, suite.tasks, spellings, suite.name)
    if not figures and not averages:
        stated = sorted({name for task in suite.tasks for name in task.expect})
        held = f"; it states those of {', '.join(stated[:4])}" if stated else ""
        raise ConfigError(
            f"suite {suite.name} states no published scores (expect:) of {_name(model)}{held}\n"
            "name others with --card README.md, --against card or --published DIR; "
            "--model-only checks the model itself"
        )
    return figures, averages, f"suite {suite.name}"


def _public_side(folder: Path, model: str, protocol: str, rows: Catalog) -> Side:
    """The public results of a model: of the revision that is named, else the one with most results."""
    from collections import Counter

    from harness.errors import StoreError, UnknownNameError
    from harness.models.resolve import parse_reference
    from harness.report.sides import stored_side
    from harness.store import Store

    if not folder.is_dir():
        raise StoreError(f"{folder}: no such folder of results")
    public = Store(folder, repair=False)
    reference = parse_reference(model)
    row = rows.find(reference.name)
    names = {reference.name, row.title if row else reference.name}
    own = [r for r in public.results(models=names) if r.protocol == protocol]
    if not own:
        hint = f"{folder} has no results of it under protocol {protocol}"
        deep = sorted({file.parents[2] for file in folder.glob("*/*/*/*.json")} - {folder})
        if deep and not any(public.results()):
            hint += f", nor of any model; name the folder that has theirs, such as {deep[0]}"
        raise UnknownNameError("model", reference.name, public.models(), hint)
    counts = Counter(r.revision for r in own if not r.variant)
    same: list[str | None] = [
        r for r in counts if r and reference.revision and r.startswith(reference.revision)
    ]
    ranked: list[str | None] = sorted(counts, key=lambda r: (-counts[r], str(r)))
    wanted = same or ranked
    if len(counts) > 1 and wanted[0] is not None:
        return stored_side(public, f"{reference.name}@{wanted[0]}", protocol, rows)
    return stored_side(public, reference.name, protocol, rows)


def _hub_card(hub: str, offline: bool) -> Path:
    """The README of a hub repository.

    Raises:
        ModelError: offline, or the hub does not give it.
    """
    from harness.errors import ModelError
    from harness.models.quiet import quiet
    from harness.network import transport_errors, why_offline

    advice = "name a local one: --card README.md"
    why = why_offline(offline)
    if why:
        raise ModelError(f"the card of {hub} is on the hub, and {why}\n{advice}")
    import huggingface_hub
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
    )

    failures: tuple[type[Exception], ...] = (HfHubHTTPError, HFValidationError, OSError, *transport_errors())
    try:
        with quiet():
            return Path(huggingface_hub.hf_hub_download(hub, "README.md"))
    except RepositoryNotFoundError as error:
        raise ModelError(f"the hub has no model {hub}, or it is private or gated\n{advice}") from error
    except RemoteEntryNotFoundError as error:
        raise ModelError(f"{hub} on the hub has no README.md\n{advice}") from error
    except failures as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"the hub gives no card of {hub}: {first}\n{advice}") from error


def _name(model: str) -> str:
    from harness.models.resolve import parse_reference

    return parse_reference(model).name
