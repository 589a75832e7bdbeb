"""`harness eval`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import common

if TYPE_CHECKING:
    from harness.suite import Suite
    from harness.types import Result


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("eval")(eval_)


def eval_(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A catalog name (NAME@REVISION+VARIANT), a hub id or a local path."
        ),
    ],
    suite: Annotated[
        str | None, typer.Option(help="A suite (harness suites lists them) or a YAML file.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="A task; repeatable.")] = None,
    subset: Annotated[list[str] | None, typer.Option(help="Only this subset; repeatable.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="Only this split; repeatable.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Override the suite's protocol.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps; default: the best there is.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 (default), bfloat16 or float16.")] = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens kept of a text.")] = None,
    dim: Annotated[int | None, typer.Option(min=1, help="First components kept of a vector.")] = None,
    quant: Annotated[str | None, typer.Option(help="Vectors rounded to int8 or binary.")] = None,
    prompts: Annotated[str | None, typer.Option(help="card (default), mteb or none.")] = None,
    batch_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens a batch; default: the first ones are timed.")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory for scoring beyond the model, such as 8GB; default 60 % of what is free.",
        ),
    ] = None,
    backend: Annotated[str | None, typer.Option(help="What runs the model: torch (default).")] = None,
    first_stage: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[-K]",
            help="Of a cross-encoder on retrieval tasks: bm25 or a bi-encoder, and how many documents a "
            "query it proposes; default 100.",
        ),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Folder with the model's files.")] = None,
    name: Annotated[str | None, typer.Option(help="Name under which a local model is recorded.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Score again; vectors are reused.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Encode again; keep no vectors.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="A failed task does not end the run.")
    ] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run a pinned model's code.")
    ] = False,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Load weights that are pickles.")
    ] = False,
    results: common.Results = common.LOCAL,
    data: common.Data = None,
    cache: common.Cache = None,
    catalog: common.Catalog = None,
    offline: common.Offline = False,
    json: common.Json = False,
    quiet: common.Quiet = False,
    verbose: common.Verbose = 0,
) -> None:
    """Score a model: every task of a suite, stored as it finishes, resumed where it stopped.

    Without --suite or --task the model's default suite is run (else smoke).

    Examples:

      harness eval all-MiniLM-L6-v2 --suite smoke

      harness eval ./my-checkpoint --task SciFact --data ../data

      harness eval bm25 --task SciFact --subset default --json

      harness eval my-reranker --task SciFact --first-stage bm25-50
    """
    common.hush(verbose)
    from harness.cli.lacking import all_missing, default_suite, tried
    from harness.errors import ConfigError, HarnessError, together
    from harness.first_stage import load_first_stage, split_first, staged
    from harness.jobs import flatten
    from harness.models import load_model
    from harness.network import go_offline
    from harness.suite import load_suite, load_task

    if offline:
        go_offline()
    if suite and task:
        raise ConfigError("--suite and --task exclude each other")
    options: dict[str, Any] = {"cache": cache, "no_cache": no_cache, "offline": offline}
    bound = {} if memory is None else {"memory": _parsed(memory)}
    bare, named = split_first(model)
    if named and first_stage not in (None, named):
        raise ConfigError(f"the name says first stage {named}, the option {first_stage}")
    problems: list[HarnessError] = []  # what is not here, said all at once
    scorer = tried(
        problems,
        load_model,
        bare,
        device=device,
        dtype=dtype,
        max_length=max_length,
        dim=dim,
        quant=quant,
        prompts=prompts,
        batch_tokens=batch_tokens,
        backend=backend,
        weights=weights,
        display_name=name,
        catalog=catalog,
        cache=cache,
        offline=offline,
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
    )
    if chosen_first := named or first_stage:
        where: dict[str, Any] = {"device": device, "catalog": catalog, "cache": cache, "offline": offline}
        options["first_stage"] = tried(problems, load_first_stage, chosen_first, **where)
        if not problems:
            staged(
                scorer.card, options["first_stage"]
            )  # refuses what searches by itself before data are read
    narrow: dict[str, Any] = {"subsets": subset, "splits": split, "data": data, "cache": cache}
    try:
        if task:
            chosen = load_task(*task, protocol=protocol or "mteb", **narrow)
        else:
            usual = scorer.card.default_suite if scorer else default_suite(bare, catalog)
            chosen = load_suite(suite or usual or "smoke", protocol=protocol, **narrow)
    except HarnessError as error:
        raise together([*problems, error]) from error
    if problems:
        raise all_missing(problems, flatten(chosen.tasks), offline, chosen.fetching(model))
    if dry_run:
        _show_plan(scorer, chosen, options, json)
        return
    options |= {"force": force, "keep_going": keep_going, **bound}
    failed = _run(scorer, chosen, results, options, json=json, quiet=quiet)
    if failed:
        raise typer.Exit(1)


def _parsed(size: str) -> int:
    from harness.memory import parse_size

    return parse_size(size)


def _run(
    scorer: Any, suite: Suite, results: Path, options: dict[str, Any], *, json: bool, quiet: bool
) -> int:
    """Evaluate and print; the number of tasks that failed."""
    from harness.cli.progress import Screen
    from harness.first_stage import staged
    from harness.run import evaluate
    from harness.store import Store

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
    if json:
        common.answer_json([_as_json(result) for result in found])
    elif found:
        common.answer(_as_table(found))
    return screen.failures


def _as_json(result: Any) -> dict[str, Any]:
    return {
        "model": result.model,
        "revision": result.revision,
        "variant": list(result.variant),
        "task": result.task,
        "split": result.split,
        "subset": result.subset,
        "protocol": result.protocol,
        "main_metric": result.main_metric,
        "main_score": result.main_score,
        "metrics": dict(result.metrics),
        "undefined": dict(result.undefined),
        "reused": result.reused,
        "seconds": result.provenance.get("seconds"),
    }


def _as_table(found: Sequence[Any]) -> str:
    rows = [
        [r.task, r.split, r.subset, r.main_metric, f"{100 * r.main_score:.4f}", "stored" if r.reused else ""]
        for r in found
    ]
    return common.table(["task", "split", "subset", "metric", "x100", ""], rows)


def _show_plan(scorer: Any, suite: Suite, options: dict[str, Any], json: bool) -> None:
    from harness.plan import plan_run, total

    planned = plan_run(scorer, suite, **options)
    if json:
        common.answer_json([_plan_as_json(job, cost) for job, cost in planned])
        return
    whole = total([cost for _, cost in planned])
    rows = [[job.task.name, job.split, job.subset, *_counted(cost)] for job, cost in planned]
    rows.append(["total", "", "", *_counted(whole)])
    what = "pairs" if scorer.card.kind == "cross-encoder" else "texts"
    headers = ["task", "split", "subset", what, "distinct", "cached", "to encode", "tokens", "time"]
    common.answer(common.table(headers, rows))
    for line in (*_unsearched(planned), *_plan_in_words(whole), *_first_texts(planned)):
        common.answer(line)


def _unsearched(planned: Sequence[Any]) -> Iterator[str]:
    """Where the pairs are only guessed, since a plan does not search."""
    waiting = [job for job, _ in planned if job.first and job.candidates_sha256 is None]
    if waiting:
        names = ", ".join(dict.fromkeys(job.task.name for job in waiting))
        yield f"the first stage has not searched yet: the pairs of {names} are estimated"
    if any(job.first["prompts"] for job in waiting):  # a bi-encoder
        yield "what the first stage encodes for its search is not counted"


def _plan_as_json(job: Any, cost: Any) -> dict[str, Any]:
    place = {"task": job.task.name, "split": job.split, "subset": job.subset}
    return {**place, **asdict(cost), "first_texts": dict(job.shown)}


def _counted(cost: Any) -> list[str]:
    from harness.cli.progress import duration

    numbers = (cost.texts, cost.distinct, cost.cached, cost.missing, cost.tokens)
    return [*(f"{n:,}" for n in numbers), "?" if cost.seconds is None else duration(cost.seconds)]


def _plan_in_words(whole: Any) -> Iterator[str]:
    """The totals, and what the estimates rest on."""
    from harness.cli.progress import duration

    if not whole.texts:
        yield "nothing to encode: this model searches the words themselves"
        return
    cached = f"{whole.cached:,} cached ({whole.cached / max(whole.distinct, 1):.0%})"
    yield f"{whole.distinct:,} distinct: {cached}, {whole.missing:,} to encode"
    if not whole.missing:
        return
    sampled = {"tokenizer": "by a sample", "characters": "estimated by their length alone"}[whole.tokens_from]
    yield f"about {whole.tokens:,} tokens, {sampled} ({whole.missing_characters:,} characters)"
    if whole.charge is not None:
        yield f"about {whole.charge:,.4f} to pay, estimated from these tokens and the price in the catalog"
    if whole.seconds is None:
        yield "time unknown: this model was not timed before, and nothing says how large it is"
    else:
        source = {
            "measured": "at the rate of an earlier run",
            "estimated": "a rough guess by the model's size",
        }
        yield f"about {duration(whole.seconds)} of encoding, {source[whole.seconds_from]}"


def _first_texts(planned: Sequence[Any]) -> Iterator[str]:
    for job, _ in planned:
        for role, text in job.shown.items():
            yield f"{job.task.name} {job.split}/{job.subset} {role}: {text[:100]!r}"
