"""`harness models | suites | show`, and the list behind `harness tasks`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import common, complete

_YAML = (".yaml", ".yml")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("models")(models)
    app.command("suites")(suites)
    app.command("show")(show)


def models(catalog: common.Catalog = None, json: common.Json = False) -> None:
    """List the models of the catalog."""
    from harness.models import models as plugins
    from harness.models.catalog import load_catalog

    rows = [row for row in load_catalog(catalog).rows.values() if not row.hidden]
    if json:
        common.answer_json([row.model_dump(mode="json") for row in rows])
        return
    cells = [
        [row.name, row.kind, ",".join(row.languages) or "-", row.licence or "-", row.hub or "-"]
        for row in rows
    ]
    cells += [[name, "plugin", "-", "-", "-"] for name in plugins]
    common.answer(common.table(["name", "kind", "languages", "licence", "hub id"], cells))


def suites(json: common.Json = False, cache: common.Cache = None) -> None:
    """List the suites. Beside them, mteb:NAME is any benchmark of mteb: --suite "mteb:MTEB(fra, v1)"."""
    from harness.suite_file import definitions, read_suite, suite_names

    found = [read_suite(name) for name in suite_names()]
    if json:
        common.answer_json(
            [
                {
                    "name": s.suite,
                    "title": s.title,
                    "protocol": s.protocol,
                    "benchmark": s.benchmark,
                    "average": s.aggregate.average,
                    "tasks": [t.name for t in definitions(s, cache)[0]],
                }
                for s in found
            ]
        )
        return
    rows = [[s.suite, str(s.size or len(s.tasks)), s.protocol, s.title] for s in found]
    common.answer(common.table(["suite", "tasks", "protocol", "title"], rows))


def list_tasks(
    search: Annotated[str | None, typer.Argument(help="Only names that contain this.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None,
    data: common.Data = None,
    cache: common.Cache = None,
    json: common.Json = False,
) -> None:
    """List the tasks that can be named: those of the suites, of --data folders, and of mteb."""
    from harness.data.mteb_catalog import catalog
    from harness.errors import UnknownNameError
    from harness.paths import cache_folder
    from harness.scorers import KINDS
    from harness.suite import all_task_names

    if kind is not None and kind not in KINDS:
        raise UnknownNameError("kind", kind, KINDS)
    known = catalog(cache_folder(cache))
    names = [n for n in all_task_names(cache, data) if search is None or search.lower() in n.lower()]
    rows: list[dict[str, Any]] = []
    for name in names:
        info = known.get(name)
        row = {
            "name": name,
            "kind": info.kind if info else "local",
            "main": info.main if info else "-",
            "splits": list(info.splits) if info else [],
            "subsets": len(info.subsets) if info else None,
        }
        if kind is None or row["kind"] == kind:
            rows.append(row)
    if json:
        common.answer_json(rows)
        return
    cells = [[r["name"], r["kind"], r["main"], _few(r["splits"]), str(r["subsets"] or "-")] for r in rows]
    common.answer(common.table(["task", "kind", "main", "splits", "subsets"], cells))


def _few(splits: Sequence[str]) -> str:
    """Splits in one cell: a task with twenty would widen every line of the table."""
    return ",".join(splits[:3]) + (f" and {len(splits) - 3} more" if len(splits) > 3 else "") or "-"


def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A model, suite or task.", autocompletion=complete.anything),
    ],
    data: common.Data = None,
    cache: common.Cache = None,
    catalog: common.Catalog = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Of a suite: tokens a second, to estimate the time.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Of a suite: take this model's last measured rate and max length.",
            autocompletion=complete.models,
        ),
    ] = None,
    json: common.Json = False,
) -> None:
    """Everything known about one model, suite or task.

    A suite comes with what mteb's statistics say of its size, and a guess of the time at a rate:

      harness show cmteb --rate 20000

      harness show "mteb:MTEB(fra, v1)" --model multilingual-e5-small
    """
    from harness.errors import ConfigError, UnknownNameError
    from harness.models.catalog import load_catalog
    from harness.suite import all_task_names, load_task
    from harness.suite_file import MTEB, home_of, suite_names

    models = load_catalog(catalog)
    row = models.find(name)
    is_suite = row is None and (name in suite_names() or name.startswith(MTEB) or name.endswith(_YAML))
    if (rate or model) and not is_suite:
        raise ConfigError(f"--rate and --model are for suites, and {name} is none")
    if is_suite:
        from harness.cli.suite_page import show_suite

        show_suite(name, data=data, cache=cache, rate=rate, model=model, catalog=catalog, json=json)
        return
    if row is not None:
        facts: dict[str, Any] = {"model": _model_facts(row, models)}
    elif name in (names := all_task_names(cache, data)):
        (task,) = load_task(name, data=data, cache=cache).tasks
        facts = {"task": _task_facts(task)}
    elif (home := home_of(name)) is not None:
        (task,) = load_task(name, protocol=home.protocol, data=data, cache=cache).tasks
        facts = {"task": _task_facts(task)}
    else:
        raise UnknownNameError("model, suite or task", name, [*models.names(), *suite_names(), *names])
    if json:
        common.answer_json(facts)
        return
    import yaml

    common.answer(yaml.safe_dump(facts, allow_unicode=True, sort_keys=False, width=100))


def _model_facts(row: Any, models: Any) -> dict[str, Any]:
    from harness.models.prompts import prompt_for, roles_of, route_for
    from harness.scorers import KINDS, scorer

    facts: dict[str, Any] = row.model_dump(mode="json", exclude_none=True)
    if row.kind == "bi-encoder":
        kinds = [kind for kind in KINDS if row.kind in scorer(kind).models and kind != "aggregate"]
        roles = {kind: roles_of(kind) for kind in kinds}
        facts["rendered"] = {
            kind: {role: prompt_for(row.prompts, "card", kind, role) + "..." for role in own}
            for kind, own in roles.items()
        }
        if row.routes:
            facts["routed"] = {
                kind: {role: route_for(row.routes, kind, role) or None for role in own}
                for kind, own in roles.items()
            }
        if notes := _stored_notes(row, models):
            facts["notes"] = [*facts.get("notes", ()), *notes]
    return facts


def _stored_notes(row: Any, models: Any) -> tuple[str, ...]:
    """What the checkpoint, where its files are on this machine, says otherwise than the row; no request."""
    from harness.errors import ModelError
    from harness.models.card import checkpoint_notes
    from harness.models.checkpoint import read_checkpoint
    from harness.models.hub import fetch

    if not (row.path or row.hub):
        return ()
    try:
        folder = (
            Path(row.path)
            if row.path
            else fetch(row.hub, row.revision, models, offline=True, package=row.package)
        )
        return checkpoint_notes(row, read_checkpoint(folder), row.kind)
    except ModelError:
        return ()  # not here, or not readable: loading it says what is wrong


def _task_facts(task: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": task.name,
        "kind": task.kind,
        "type": task.type,
        "protocol": task.protocol,
        "scorer": f"{task.scorer.name}@{task.scorer.version}",
        "main": task.main,
        "scored_with": list(task.scorer.models),
        "data": str(task.folder.path) if task.folder else task.dataset,
        "revision": task.revision,
        "settings": {k: list(v) if isinstance(v, tuple) else v for k, v in task.settings.items()},
        "entries": [f"{split}/{subset}" for split, subset in task.entries],
    }
    if task.dev_split:
        facts["chosen_on"] = task.dev_split
    if task.absent:
        facts["absent"] = [f"{split}/{subset}" for split, subset in task.absent]
    if task.members:
        facts["members"] = [member.name for member in task.members]
    if task.scorer.name == "mean_with_p":
        facts["note"] = "upstream's old evaluator: each metric is (mean r + mean p) / 2, p-values included"
    return facts
