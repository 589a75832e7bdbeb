"""`harness gate MODEL --baseline B`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import common, complete

if TYPE_CHECKING:
    from harness.models.catalog import Catalog
    from harness.report.gate.decide import Gate
    from harness.report.gate.rules import Gates
    from harness.report.gate.verdict import Check
    from harness.report.sides import Side
    from harness.store import Store
    from harness.suite import Suite


class Annotations(StrEnum):
    """CI systems that show findings beside the code."""

    github = "github"
    gitlab = "gitlab"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("gate")(gate)


def gate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A model whose results are stored.", autocompletion=complete.models
        ),
    ],
    baseline: Annotated[
        str,
        typer.Option(
            help="What it must not be worse than: a stored model (NAME@REVISION+VARIANT), a folder of "
            "results, git:REVISION:PATH, or a model card (README.md; tolerance only).",
            autocompletion=complete.models,
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option(help="gates.yaml: allowed drops, floors, required tasks.", show_default=False),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(
            help="The suite to gate on. [default: the model's, else smoke]", autocompletion=complete.suites
        ),
    ] = None,
    results: common.Results = common.LOCAL,
    exact: Annotated[bool, typer.Option("--exact", help="Any change fails, up or down.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.", show_default=False)] = None,
    summary: Annotated[
        Path | None, typer.Option(help="Append a Markdown summary to this file.", show_default=False)
    ] = None,
    annotations: Annotated[
        Annotations | None,
        typer.Option(help="github: workflow commands on stdout; gitlab: a code quality report on stdout."),
    ] = None,
    show_texts: Annotated[
        bool, typer.Option("--show-texts", help="Show the texts of the examples that lost most.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of permutations and resamples.")] = 0,
    catalog: common.Catalog = None,
    data: common.Data = None,
    cache: common.Cache = None,
    offline: common.Offline = False,
    json: common.Json = False,
) -> None:
    """Say whether a model got worse than a baseline; reads stored results only.

    Exit codes: 0 no worse; 1 worse; 2 the comparison is not valid, or cannot be made.
    """
    from harness.errors import ConfigError
    from harness.models.catalog import load_catalog
    from harness.models.resolve import parse_reference
    from harness.report.gate import render as gate_report
    from harness.report.gate.decide import gate as decide
    from harness.report.gate.rules import load_gates
    from harness.report.sides import own_side
    from harness.store import Store
    from harness.suite import load_suite

    if json and annotations is not None:
        raise ConfigError("--json and --annotations both write to stdout: choose one")
    with _refusals(suite or "", baseline, model, junit, summary, annotations, json=json):
        models = load_catalog(catalog)
        row = models.find(parse_reference(model).name)
        chosen = load_suite(suite or (row and row.default_suite) or "smoke", data=data, cache=cache)
        rules = load_gates(config)
        if config is None and Path("gates.yaml").is_file():
            common.say("note: gates.yaml lies here and does not count: give it with --config gates.yaml")
        for line in _misnamed(rules, chosen):
            common.say(line)
        protocol = chosen.tasks[0].protocol
        store = Store(results, repair=False)
        made = f"--suite {shlex.quote(suite or chosen.name)}"
        new = own_side(store, model, protocol, models, f"harness eval {shlex.quote(model)} {made}")
        with _baseline(baseline, model, protocol, store, models) as old:
            if old.results == new.results:
                common.say("warning: both sides are the very same results; nothing is compared")
            found = decide(old, new, chosen, rules, exact=exact, seed=seed)
            texts = _texts(chosen, offline) if show_texts else None
            markdown = gate_report.to_markdown(found, texts)
        for problem in store.problems:
            common.say(problem)
    _write(found, markdown, junit, summary)
    _answer(found, annotations, json=json)
    raise typer.Exit(found.exit_code)


@contextmanager
def _refusals(
    suite: str,
    baseline: str,
    model: str,
    junit: Path | None,
    summary: Path | None,
    annotations: Annotations | None,
    *,
    json: bool,
) -> Iterator[None]:
    """What cannot be compared at all is said in every report, too: a CI system shows these, not stderr."""
    from harness.errors import HarnessError
    from harness.report.gate import render as gate_report
    from harness.report.gate.decide import refused

    try:
        yield
    except HarnessError as error:
        found = refused(suite, baseline, model, str(error))
        _write(found, gate_report.to_markdown(found), junit, summary)
        if annotations is not None:
            common.answer(_annotated(found, annotations))
        if json:
            common.answer_json(gate_report.to_json(found))
        raise


def _misnamed(rules: Gates, suite: Suite) -> Iterator[str]:
    """Suites of the rules that are neither this one nor any that ships: perhaps a slip of the pen."""
    from harness.errors import nearest
    from harness.suite_file import MTEB, suite_names

    known = [suite.name, *suite_names()]
    for name in rules.suites:
        if name not in known and not name.startswith(MTEB):
            near = nearest(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"warning: the rules name suite {name}, which does not ship with this program{hint}"


def _answer(found: Gate, annotations: Annotations | None, *, json: bool) -> None:
    from harness.report.gate import render as gate_report

    if json:
        common.answer_json(gate_report.to_json(found))
        return
    if annotations is not None:
        common.answer(_annotated(found, annotations))
    elif found.checks and not found.invalid:
        common.answer(common.table(gate_report.HEADER, gate_report.rows(found)))
    if annotations is not Annotations.gitlab:
        for line in found.invalid:
            common.say(f"not comparable: {line}")
        for line in (*found.advice, *gate_report.notes(found)):
            common.say(line)
    common.say(gate_report.headline(found))


def _annotated(found: Gate, system: Annotations) -> str:
    import json as js

    from harness.report.gate import ci as gate_ci

    if system is Annotations.github:
        return gate_ci.to_github(found)
    return js.dumps(gate_ci.to_gitlab(found), ensure_ascii=False, indent=2)


@contextmanager
def _baseline(text: str, model: str, protocol: str, store: Store, models: Catalog) -> Iterator[Side]:
    """The other side, from wherever `--baseline` says it is."""
    from harness.errors import ConfigError, StoreError
    from harness.report.sides import card_side, of_git, only_side, own_side
    from harness.store import Store

    path = Path(text).expanduser()
    if text.startswith("git:"):
        revision, colon, folder = text.removeprefix("git:").partition(":")
        if not (revision and colon and folder):
            raise ConfigError(f"{text!r} is not git:REVISION:PATH (as in git:main:results)")
        with of_git(revision, folder) as there:
            yield replace(only_side(there, model, protocol, models), where=text)
    elif text.endswith(".md"):
        yield card_side(path, protocol)
    elif path.is_dir() and not (path / "config.json").is_file():  # a model's own folder has one
        yield replace(only_side(Store(path, repair=False), model, protocol, models), where=text)
    elif text.startswith((".", "/", "~")) and not path.exists():
        raise StoreError(f"{text}: no such folder (of results, or of a model whose results are stored)")
    else:
        yield own_side(store, text, protocol, models, f"harness eval {shlex.quote(text)}")


def _texts(suite: Suite, offline: bool) -> Any:
    """A reader of examples' texts; the data of a task are loaded when they are asked for."""
    from harness.data.load import load_examples
    from harness.data.texts import text_of

    tasks = {task.name: task for task in suite.tasks}

    def read(check: Check, split: str, subset: str, ids: Sequence[str]) -> Mapping[str, str]:
        task = tasks.get(check.name)
        if task is None or task.kind == "aggregate":
            return {}
        examples = load_examples(task, split, subset, {}, offline=offline)
        return {name: text_of(examples, name) for name in ids}

    return read


def _write(found: Gate, markdown: str, junit: Path | None, summary: Path | None) -> None:
    from harness.errors import ConfigError
    from harness.report.gate.ci import to_junit

    for path, text, mode in ((junit, to_junit(found), "w"), (summary, markdown, "a")):
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open(mode, encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
