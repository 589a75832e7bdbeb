"""`harness eval`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import common

if TYPE_CHECKING:
    from harness.errors import HarnessError
    from harness.suite import Suite


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("eval")(eval_)


def eval_(
    model: common.Model,
    suite: common.Suite = None,
    task: common.Task = None,
    subset: common.Subset = None,
    split: common.Split = None,
    protocol: common.Protocol = None,
    device: common.Device = None,
    dtype: common.Dtype = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens kept of a text.")] = None,
    dim: common.Dim = None,
    quant: common.Quant = None,
    prompts: common.Prompts = None,
    batch_tokens: common.BatchTokens = None,
    memory: common.Memory = None,
    backend: common.Backend = None,
    first_stage: common.FirstStage = None,
    weights: common.Weights = None,
    name: common.Name = None,
    force: common.Force = False,
    no_cache: common.NoCache = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    keep_going: common.KeepGoing = False,
    trust_remote_code: common.TrustRemoteCode = False,
    allow_pickle: common.AllowPickle = False,
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
    from harness.cli.lacking import all_missing, default_suite
    from harness.cli.running import check_named, chosen_tasks, opened, scored
    from harness.errors import HarnessError, together
    from harness.jobs import flatten

    check_named(suite, task)
    problems: list[HarnessError] = []  # what is not here, said all at once
    scorer, options = opened(
        model,
        first_stage,
        no_cache=no_cache,
        memory=memory,
        problems=problems,
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
    narrow: dict[str, Any] = {"subsets": subset, "splits": split, "data": data, "cache": cache}
    try:
        usual = scorer.card.default_suite if scorer else default_suite(model, catalog)
        chosen = chosen_tasks(suite or usual or "smoke", task, protocol, narrow)
    except HarnessError as error:
        raise together([*problems, error]) from error
    if problems:
        raise all_missing(problems, flatten(chosen.tasks), offline, chosen.fetching(model))
    for left_out, why in chosen.left_out.items() if not quiet else ():
        common.say(f"left out: {left_out} ({why})")
    if dry_run:
        _show_plan(scorer, chosen, {n: value for n, value in options.items() if n != "memory"}, json)
        return
    options |= {"force": force, "keep_going": keep_going}
    found, failed = scored(scorer, chosen, results, options, quiet=quiet)
    if json:
        common.answer_json([_as_json(result) for result in found])
    elif found:
        common.answer(_as_table(found))
    if failed:
        raise typer.Exit(1)


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
        **({"chosen_on_dev": chosen} if (chosen := result.details.get("chosen_on_dev")) else {}),
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

    planned = plan_run(scorer, suite, listen=_say_skipped, **options)
    if json:
        common.answer_json([_plan_as_json(job, cost) for job, cost in planned])
        return
    whole = total([cost for _, cost in planned])
    rows = [[_who(job, cost), job.split, job.subset, *_counted(cost)] for job, cost in planned]
    rows.append(["total", "", "", *_counted(whole)])
    pairs = scorer.card.kind == "cross-encoder"
    mixed = any(cost.model for _, cost in planned)
    what = "texts, pairs" if mixed else "pairs" if pairs else "texts"
    headers = ["task", "split", "subset", what, "distinct", "cached", "to encode", "tokens", "time"]
    common.answer(common.table(headers, rows))
    for note in scorer.card.notes:
        common.say(f"note: {note}")
    for line in (*_unsearched(planned), *_plan_in_words(whole), *_first_texts(planned)):
        common.answer(line)


def _say_skipped(event: Any) -> None:
    if event.what == "skip":
        common.say(f"skip: {event.task}: {event.text}")


def _unsearched(planned: Sequence[Any]) -> Iterator[str]:
    """Where the pairs are only guessed, since a plan does not search."""
    waiting = [job for job, _ in planned if job.first and job.candidates_sha256 is None]
    if waiting:
        names = ", ".join(dict.fromkeys(job.task.name for job in waiting))
        yield f"the first stage has not searched yet: the pairs of {names} are estimated"


def _who(job: Any, cost: Any) -> str:
    return f"{job.task.name}, first stage {cost.model}" if cost.model else str(job.task.name)


def _plan_as_json(job: Any, cost: Any) -> dict[str, Any]:
    place = {"task": job.task.name, "split": job.split, "subset": job.subset}
    return {**place, **asdict(cost), "first_texts": dict(job.shown), "routes": job.routes}


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
    for job, cost in planned:
        for role, text in job.shown.items():
            route = (job.routes or {}).get(role)
            through = f" through adapter {route!r}" if route else ""
            yield f"{_who(job, cost)} {job.split}/{job.subset} {role}{through}: {text[:100]!r}"
