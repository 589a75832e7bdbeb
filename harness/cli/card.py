"""`harness card`: a model's stored results as a model card's model-index."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from harness.cli import common


class Profile(StrEnum):
    """Shape of a model-index."""

    mteb = "mteb"
    generic = "generic"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("card")(card)


def card(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model whose results are stored.")],
    suite: Annotated[str | None, typer.Option(help="Only the tasks of this suite.")] = None,
    profile: Annotated[
        Profile, typer.Option(help="mteb: x100, mteb's task types; generic: Hub task ids.")
    ] = Profile.mteb,
    results: common.Results = common.LOCAL,
    catalog: common.Catalog = None,
    data: common.Data = None,
    cache: common.Cache = None,
) -> None:
    """Print a model-index (YAML front matter) made of a model's stored results."""
    from harness.data.mteb_catalog import catalog as mteb_catalog
    from harness.errors import StoreError, UnknownNameError
    from harness.models.catalog import load_catalog
    from harness.paths import cache_folder
    from harness.report.card import model_index
    from harness.store import Store
    from harness.suite import load_suite

    store = Store(results)
    every = list(store.results())
    models = load_catalog(catalog)
    row = models.find(model)
    wanted = row.title if row else model
    found = [r for r in every if r.model == wanted]
    if suite is not None:
        tasks = {task.name for task in load_suite(suite, data=data, cache=cache).tasks}
        found = [r for r in found if r.task in tasks]
    if not found:
        stored = sorted({r.model for r in every})
        if row is not None:
            raise StoreError(f"no results of {model} in {results}\nmake them with: harness eval {model}")
        raise UnknownNameError(
            "model", model, [*models.names(), *stored], f"no results of that name in {results}"
        )
    for problem in store.problems:
        common.say(problem)
    known = mteb_catalog(cache_folder(cache))
    infos = {r.task: known[r.task] for r in found if r.task in known}
    common.answer(
        model_index(
            found,
            profile=profile.value,
            datasets={task: info.path for task, info in infos.items()},
            types={task: info.type for task, info in infos.items()},
        )
    )
