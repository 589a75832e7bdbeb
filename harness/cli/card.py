"""`harness card MODEL [README]`: stored results on a model card."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import common

if TYPE_CHECKING:
    from harness.report.card.make import Made
    from harness.report.card.plan import Rules


class Profile(StrEnum):
    """Shape of a model-index."""

    mteb = "mteb"
    generic = "generic"


class Format(StrEnum):
    """What to render."""

    model_index = "model-index"
    eval_results = "eval-results"
    table = "table"
    mteb_json = "mteb-json"


class Metrics(StrEnum):
    """How many metrics."""

    main = "main"
    all = "all"


class Names(StrEnum):
    """Spellings of metrics."""

    v1 = "v1"
    v2 = "v2"


class Conflict(StrEnum):
    """What becomes of a value that differs."""

    fail = "fail"
    update = "update"
    keep = "keep"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("card")(card)


def card(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model whose results are stored: NAME, NAME@REVISION+VARIANT, or a folder.",
        ),
    ],
    readme: Annotated[
        Path | None,
        typer.Argument(
            metavar="README",
            help="The card to edit (README.md), or a folder. Without it the rendering is printed.",
            show_default=False,
        ),
    ] = None,
    suite: Annotated[str | None, typer.Option(help="Only what this suite asks for.")] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Of the results; default: the suite's, else mteb, else the only one.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="What to render.")] = Format.model_index,
    profile: Annotated[
        Profile | None,
        typer.Option(
            help="mteb: x100, mteb's task types; generic: 0 to 1, Hub task ids; default: mteb for its tasks."
        ),
    ] = None,
    metrics: Annotated[
        Metrics | None, typer.Option(help="Each result's main metric or all; default: all, in a table main.")
    ] = None,
    metric_names: Annotated[
        Names, typer.Option(help="v1: metrics and data sets as cards of mteb 1 name them.")
    ] = Names.v2,
    digits: Annotated[
        int | None, typer.Option(min=0, max=15, help="Round values; default: in full, in a table 2 or 4.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Write; without it the diff is shown.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 0 if up to date, 1 if stale, 2 if invalid or conflicting.")
    ] = False,
    on_conflict: Annotated[Conflict, typer.Option(help="Where the card has another value.")] = Conflict.fail,
    replace_revision: Annotated[
        bool, typer.Option("--replace-revision", help="Write our data revisions over other and unknown ones.")
    ] = False,
    keep_both: Annotated[
        bool, typer.Option("--keep-both", help="Add a group beside one on another data revision.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete other groups that hold nothing but stored values.")
    ] = False,
    benchmark_map: Annotated[
        Path | None,
        typer.Option(help="For eval-results: which value is which benchmark's.", show_default=False),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(metavar="ORG/NAME", help="Edit the card on the Hub, as a pull request; needs HF_TOKEN."),
    ] = None,
    direct: Annotated[bool, typer.Option("--direct", help="With --push: commit to main.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --push: do not ask.")] = False,
    results: common.Results = common.LOCAL,
    catalog: common.Catalog = None,
    data: common.Data = None,
    cache: common.Cache = None,
    offline: common.Offline = False,
    json: common.Json = False,
) -> None:
    """Put a model's stored results on its card: only the lines that must change do.

    With README, prints a unified diff and a summary; --write writes it, --check says whether it is stale.
    """
    flags = {
        "--write": write,
        "--check": check,
        "--push": push is not None,
        "--replace-revision": replace_revision,
        "--keep-both": keep_both,
        "--prune": prune,
        "--benchmark-map": benchmark_map is not None,
        "--direct": direct,
        "--yes": yes,
        "--offline": offline,
        "--json": json,
    }
    _refuse_contradictions({name for name, given in flags.items() if given}, readme, form, push)

    from harness.data.mteb_catalog import catalog as mteb_catalog
    from harness.models.catalog import load_catalog
    from harness.paths import cache_folder
    from harness.report.card.eval_results import load_map
    from harness.report.card.make import make
    from harness.report.card.plan import Rules
    from harness.report.card.source import known_tasks, model_results, written_by
    from harness.store import Store
    from harness.suite import load_suite

    store = Store(results, repair=False)
    chosen = load_suite(suite, protocol=protocol, data=data, cache=cache) if suite else None
    found, label = model_results(store, model, load_catalog(catalog), protocol=protocol, suite=chosen)
    for problem in store.problems:
        common.say(problem)
    if chosen and (lacking := {task.name for task in chosen.tasks} - {result.task for result in found}):
        common.say(f"{len(lacking)} of {len(chosen.tasks)} tasks of {chosen.name} have no results: left out")
    known = known_tasks(mteb_catalog(cache_folder(cache)))
    shape = profile.value if profile else None
    ours = [r for r in store.results() if r.model == found[0].model] if prune else []
    rules = Rules(
        on_conflict=on_conflict.value,
        revisions="replace" if replace_revision else "both" if keep_both else "fail",
        digits=digits,
        shared=known.shared,
        prune=written_by(ours, known, shape) if prune else None,
    )
    made = make(
        form.value,
        found,
        label,
        known,
        profile=shape,
        metrics=metrics.value if metrics else None,
        mains={task.name: task.shown for task in chosen.tasks} if chosen else None,
        metric_names=metric_names.value,
        digits=digits,
        rules=rules,
        benchmarks=load_map(benchmark_map) if form is Format.eval_results else (),
    )
    if form is Format.mteb_json:
        common.say("for comparison with mteb; not a submission to its leaderboard")
    if push is not None:
        _push(made, push, label, direct=direct, yes=yes)
    elif readme is None and json:
        common.answer_json(made.data)
    elif readme is None:
        common.answer(made.text)
    else:
        _edit(made, readme, form, rules, write=write, check=check, json=json)


def _edit(
    made: Made, readme: Path, form: Format, rules: Rules, *, write: bool, check: bool, json: bool
) -> None:
    """Show, check or write what would change in files here."""
    from harness.errors import DataError
    from harness.report.card.files import as_json, read_file, summary, unified, write_file
    from harness.report.card.make import decided

    card = readme / "README.md" if readme.is_dir() else readme
    root = Path() if form in (Format.model_index, Format.table) else card.parent
    if form in (Format.model_index, Format.table) and not card.is_file():
        raise DataError(f"{card}: no such file")
    if form is Format.eval_results and not root.is_dir():
        raise DataError(f"{root}: no such folder; .eval_results stands beside the README")
    if form is Format.mteb_json and not readme.is_dir():
        raise DataError(f"{readme}: no such folder; mteb-json writes a file a task into one")
    files = made.files(lambda path: read_file(root / path), str(card))
    if json:
        common.answer_json({**as_json(files), "diff": unified(files)})
    else:
        if not (check or write) and any(file.stale for file in files):
            common.answer(unified(files))
        common.answer(summary(files))
    if check or write:
        decided(files)
    if check and any(file.stale for file in files):
        common.say(
            f"stale: {', '.join(file.path for file in files if file.stale)}; --write brings it up to date"
        )
        raise typer.Exit(1)
    for file in files if write else ():
        if file.stale:
            write_file(root / file.path, file)
            common.say(f"wrote {root / file.path}")


def _push(made: Made, repository: str, label: str, *, direct: bool, yes: bool) -> None:
    """Show what would change on the Hub, ask, and open a pull request."""
    from harness.errors import ConfigError
    from harness.report.card import push as card_push
    from harness.report.card.files import summary, unified
    from harness.report.card.make import decided

    api = card_push.hub_api()
    there = card_push.remote(api, repository)
    for request in there.requests:
        common.say(f"open pull request {request}")
    files = decided(made.files(there.read, "README.md"))
    if not any(file.stale for file in files):
        common.say(f"{repository} is up to date; nothing to push")
        return
    common.say(unified(files) + summary(files))
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("nobody to ask: --yes pushes without asking")
        what = "commit this to main" if direct else "open a pull request with this"
        sys.stderr.write(f"{what} in {repository}? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            common.say("nothing pushed")
            raise typer.Exit(1)
    about = f"Results of {label}.\n\n{summary(files).splitlines()[-1]}."
    common.answer(card_push.push(api, repository, files, there.commit, about, direct=direct))


def _refuse_contradictions(given: set[str], readme: Path | None, form: Format, push: str | None) -> None:
    """Options that exclude each other or have no meaning here (ConfigError)."""
    from harness.errors import ConfigError

    pairs = [
        ("--write", "--check"),
        ("--write", "--push"),
        ("--check", "--push"),
        ("--replace-revision", "--keep-both"),
        ("--offline", "--push"),
        ("--json", "--push"),
    ]
    for one, other in pairs:
        if given >= {one, other}:
            raise ConfigError(f"{one} and {other} exclude each other")
    if push is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", push):
        raise ConfigError(f"--push {push!r} is not ORG/NAME")
    if readme is not None and push is not None:
        raise ConfigError("--push edits the card on the Hub: leave README out")
    if readme is None and given & {"--write", "--check"}:
        raise ConfigError("--write and --check need the README")
    if given & {"--direct", "--yes"} and "--push" not in given:
        raise ConfigError("--direct and --yes belong to --push")
    if form is Format.mteb_json and "--push" in given:
        raise ConfigError("mteb-json is for comparison with mteb and is not pushed")
    for name, wanted in (
        ("--prune", Format.model_index),
        ("--replace-revision", Format.model_index),
        ("--keep-both", Format.model_index),
        ("--benchmark-map", Format.eval_results),
    ):
        if name in given and form is not wanted:
            raise ConfigError(f"{name} belongs to --format {wanted.value}")
