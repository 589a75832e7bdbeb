"""`harness noise MODEL`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import common, complete


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("noise")(noise)


def noise(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A catalog name, a hub id or a local path, as for eval.",
            autocompletion=complete.models,
        ),
    ],
    suite: Annotated[
        str | None,
        typer.Option(
            help="The suite to measure on. [default: the model's, else smoke]", autocompletion=complete.suites
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs that encode everything anew.")] = 3,
    seeds: Annotated[
        int, typer.Option(min=0, help="Other seeds for what is drawn at random; vectors are reused.")
    ] = 4,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the tolerances go.")] = Path(
        "gates.yaml"
    ),
    force: Annotated[
        bool, typer.Option("--force", help="Replace tolerances that the file gives already.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps; default: the best there is.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Folder with the model's files.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run a pinned model's code.")
    ] = False,
    catalog: common.Catalog = None,
    data: common.Data = None,
    cache: common.Cache = None,
    offline: common.Offline = False,
    json: common.Json = False,
) -> None:
    """Measure how far scores move by noise alone, and write tolerances for `harness gate --config`.

    Into a file that is there they are put; its own tolerances, other rules and comments stay. Every repeat
    takes as long as an evaluation without stored vectors. No result is stored or changed.
    """
    common.hush(0)
    from harness.models import load_model
    from harness.paths import write_atomic
    from harness.report.gate.noise import noise as measure
    from harness.report.gate.noise_file import addable, merged, to_yaml
    from harness.report.gate.rules import is_empty, load_gates
    from harness.suite import load_suite

    if output.exists() and not is_empty(output):
        load_gates(output)

    def load(batch_tokens: int | None) -> Any:
        more = {} if batch_tokens is None else {"batch_tokens": batch_tokens}
        return load_model(
            model, device=device, weights=weights, catalog=catalog, cache=cache, offline=offline,
            trust_remote_code=trust_remote_code, **more,
        )  # fmt: skip

    card = load(None).card
    chosen = load_suite(suite or card.default_suite or "smoke", data=data, cache=cache)
    if output.exists():  # before hours of measuring, what cannot be added to
        addable(output.read_bytes().decode(), str(output), chosen.name, [task.name for task in chosen.tasks])
    try:
        whole, tasks = measure(
            load, chosen, repeats=repeats, seeds=seeds, cache=cache, offline=offline, say=common.say
        )
    except KeyboardInterrupt:
        common.say(f"interrupted: nothing is written to {output}; a new call measures from the start")
        raise
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.exists():
        old = output.read_bytes().decode()
        text, kept = merged(old, str(output), whole, tasks, card.name, chosen.name, force=force)
    else:
        text, kept = to_yaml(whole, tasks, card.name, chosen.name), []
    write_atomic(output, text.encode())
    every = [*tasks, whole]
    if json:
        common.answer_json(
            [
                {
                    "name": one.name, "metric": one.metric, "score": one.score, "repeats": list(one.repeats),
                    "seeds": list(one.seeds), "moved": one.moved, "drawn": one.drawn,
                    "max_drop": one.tolerance, "max_drop_untested": one.untested,
                }
                for one in every
            ]
        )  # fmt: skip
    else:
        rows = [
            [
                one.name if one is not whole else f"mean of {one.name}", one.metric, f"{one.score:.2f}",
                f"{one.moved:.4f}", "—" if one.drawn is None else f"{one.drawn:.4f}", f"{one.tolerance:g}",
                "" if one.untested is None else f"{one.untested:g}",
            ]
            for one in every
        ]  # fmt: skip
        common.answer(
            common.table(
                ["task", "metric", "score", "moved by repeats", "spread over seeds", "max_drop", "untested"],
                rows,
            )
        )
    for line in kept:
        common.say(f"{line} (--force replaces it)")
    common.say(f"written to {output}; use it with: harness gate {model} --baseline B --config {output}")
