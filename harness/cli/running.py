"""What verbs that score have in common: the model opened, the tasks chosen, the run before one's eyes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from harness.cli import common

if TYPE_CHECKING:
    from harness.errors import HarnessError
    from harness.suite import Suite
    from harness.types import Result


def check_named(suite: str | None, task: Sequence[str] | None) -> None:
    """Refuse a suite and tasks at once. Raises ConfigError."""
    from harness.errors import ConfigError

    if suite and task:
        raise ConfigError("--suite and --task exclude each other")


def opened(
    model: str,
    first_stage: str | None,
    *,
    no_cache: bool,
    memory: str | None,
    problems: list[HarnessError] | None = None,
    **options: Any,
) -> tuple[Any, dict[str, Any]]:
    """The model a command line names, its weights not yet read, and what `evaluate` is to be told with it.

    Args:
        problems: takes why a model cannot be had, which then is None; without it that is raised.
        options: of `load_model`.
    """
    from harness.cli.lacking import tried
    from harness.errors import ConfigError
    from harness.first_stage import load_first_stage, split_first, staged
    from harness.memory import parse_size
    from harness.models import load_model
    from harness.network import go_offline

    if options["offline"]:
        go_offline()
    told: dict[str, Any] = {
        "cache": options["cache"], "no_cache": no_cache, "offline": options["offline"],
        **({} if memory is None else {"memory": parse_size(memory)}),
    }  # fmt: skip
    bare, named = split_first(model)
    if named and first_stage not in (None, named):
        raise ConfigError(f"the name says first stage {named}, the option {first_stage}")
    scorer = tried(problems, load_model, bare, **options)
    if chosen := named or first_stage:
        shared = ("device", "dtype", "catalog", "cache", "offline", "trust_remote_code", "allow_pickle")
        how = {name: options[name] for name in shared}
        told["first_stage"] = tried(problems, load_first_stage, chosen, **how)
        if not problems:
            staged(scorer.card, told["first_stage"])  # refuses what searches by itself before data are read
    return scorer, told


def chosen_tasks(
    suite: str, task: Sequence[str] | None, protocol: str | None, narrow: dict[str, Any]
) -> Suite:
    """The tasks named one by one, else those of the suite."""
    from harness.suite import load_suite, load_task

    if task:
        return load_task(*task, protocol=protocol, **narrow)
    return load_suite(suite, protocol=protocol, **narrow)


def scored(
    scorer: Any, suite: Suite, results: Path, options: dict[str, Any], *, quiet: bool
) -> tuple[list[Result], int]:
    """Evaluate before the user's eyes; the results, and the number of tasks that failed."""
    from harness.cli.progress import Screen
    from harness.errors import StoreError
    from harness.first_stage import staged
    from harness.run import evaluate
    from harness.store import Store

    if results.exists() and not results.is_dir():
        raise StoreError(f"--results {results}: a file stands there, and results need a folder")
    store = Store(results)
    found: list[Result] = []
    with Screen(staged(scorer.card, options.get("first_stage")), suite, quiet=quiet) as screen:
        try:
            found.extend(evaluate(scorer, suite, store=store, listen=screen, **options))
        except KeyboardInterrupt:
            screen.line("interrupted; finished work is kept, the same command goes on from here")
            raise typer.Exit(130) from None
    for problem in store.problems:
        common.say(problem)
    return found, screen.failures
