"""`harness tasks [SEARCH]` and `harness tasks check FILE`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from harness.cli import common, complete
from harness.cli.listing import list_tasks

if TYPE_CHECKING:
    from harness.check import Checked, Report

_WIDTH = 160  # characters shown of a text


class _ListByDefault(TyperGroup):
    """`harness tasks WORD` lists what contains the word, unless it names a verb."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return list(super().parse_args(ctx, args))


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    verbs = typer.Typer(
        cls=_ListByDefault,
        help="List the tasks that can be named (harness tasks [SEARCH]), or check a file of your own.",
    )
    verbs.command("list")(list_tasks)
    verbs.command("check")(check)
    app.add_typer(verbs, name="tasks")


def check(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A YAML file of tasks, in the form of a suite.")
    ],
    task: Annotated[list[str] | None, typer.Option(help="Only this task of it; repeatable.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Show the rows with this model's prompts.",
            autocompletion=complete.models,
        ),
    ] = None,
    rows: Annotated[int, typer.Option(min=0, help="Rows shown of each split and subset.")] = 3,
    data: common.Data = None,
    cache: common.Cache = None,
    catalog: common.Catalog = None,
    offline: common.Offline = False,
    json: common.Json = False,
    verbose: common.Verbose = 0,
) -> None:
    """Check a file of tasks and all its data; show the first rows as a model would see them.

    Exit code 0: it can be scored (warnings are allowed). 2: it cannot; every problem is listed with the
    file, the row and the column.

    Examples:

      harness tasks check my-tasks.yaml

      harness tasks check my-tasks.yaml --task ours --model multilingual-e5-small --rows 5
    """
    common.hush(verbose)
    from harness.check import check_file

    card = None
    if model is not None:
        from harness.models import load_model

        card = load_model(model, catalog=catalog, cache=cache, offline=offline).card
    options: dict[str, Any] = {"data": data, "cache": cache, "offline": offline}
    report = check_file(file, names=task or (), card=card, rows=rows, **options)
    if json:
        common.answer_json(_as_json(file, report))
    else:
        common.answer("\n".join(_as_text(file, report)))
    if report.all_problems:
        raise typer.Exit(2)


def _as_json(file: str, report: Report) -> dict[str, Any]:
    return {
        "file": file,
        "valid": not report.all_problems,
        "problems": report.all_problems,
        "warnings": _warnings(report),
        "tasks": [
            {
                **_facts(checked),
                "entries": [
                    {
                        "split": entry.split,
                        "subset": entry.subset,
                        "counts": entry.findings.counts,
                        "problems": entry.findings.problems,
                        "warnings": entry.findings.warnings,
                        "rows": list(entry.rows),
                    }
                    for entry in checked.entries
                ],
            }
            for checked in report.tasks
        ],
    }


def _facts(checked: Checked) -> dict[str, Any]:
    task = checked.task
    facts: dict[str, Any] = {"name": checked.name}
    if task is not None:
        facts |= {
            "kind": task.kind,
            "scorer": task.scorer.name,
            "main": task.shown,
            "protocol": task.protocol,
            "scored_with": list(task.scorer.models),
            "revision": task.revision,
        }
    return {**facts, "problems": list(checked.problems), "warnings": list(checked.warnings)}


def _warnings(report: Report) -> list[str]:
    own = [line for checked in report.tasks for line in checked.warnings]
    inner = [line for checked in report.tasks for e in checked.entries for line in e.findings.warnings]
    return list(dict.fromkeys([*own, *inner]))


def _as_text(file: str, report: Report) -> Iterator[str]:
    for checked in report.tasks:
        yield from _task_text(checked)
    problems, warnings = report.all_problems, _warnings(report)
    yield from (f"warning: {line}" for line in warnings)
    yield from (f"problem: {line}" for line in problems)
    said = f"{len(problems)} problem{'s' * (len(problems) != 1)}" if problems else "can be scored"
    yield f"{file}: {said}, {len(warnings)} warning{'s' * (len(warnings) != 1)}"


def _task_text(checked: Checked) -> Iterator[str]:
    task = checked.task
    if task is None:
        return
    yield (
        f"{task.name}: {task.kind}, scorer {task.scorer.name}, main {task.shown}, protocol {task.protocol}, "
        f"data {task.revision}"
    )
    for entry in checked.entries:
        counts = ", ".join(f"{_counted(value)} {name}" for name, value in entry.findings.counts.items())
        yield f"  {entry.split}/{entry.subset}: {counts or 'nothing read'}"
        for number, row in enumerate(entry.rows, 1):
            yield f"    row {number}"
            for name, value in row.items():
                for text in value if isinstance(value, list) else [value]:
                    yield f"      {name}: {_short(text)}"
    yield ""


def _counted(value: Any) -> str:
    if not isinstance(value, dict):
        return f"{value:,}" if isinstance(value, int) else str(value)
    shown = ", ".join(f"{label}: {_counted(count)}" for label, count in list(value.items())[:12])
    more = f" and {len(value) - 12} more" if len(value) > 12 else ""
    return f"{{{shown}{more}}}"


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}... ({len(text):,} characters)"
