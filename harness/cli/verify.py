"""`harness verify MODEL`: stored scores beside published ones, or with --model-only the model's answers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import common


class Against(StrEnum):
    """Where published scores stand."""

    card = "card"
    published = "published"
    expect = "expect"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("verify")(verify)


def verify(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model with stored results: NAME@REVISION+VARIANT.")
    ],
    suite: Annotated[
        str | None,
        typer.Option(help="Only this suite's tasks, splits and metrics; default: all that is stored."),
    ] = None,
    against: Annotated[
        Against | None,
        typer.Option(
            help="card: a README's model-index; published: a folder of results; expect: what the suite "
            "states (the default, unless --card or --published is given).",
            show_default=False,
        ),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(help="The card: a README.md, or its folder; default: the hub's.", show_default=False),
    ] = None,
    published: Annotated[
        Path | None,
        typer.Option(help="Folder of public results, in mteb's layout.", show_default=False),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Of the results; default: the suite's, else mteb, else the only one.")
    ] = None,
    results: common.Results = common.LOCAL,
    model_only: Annotated[
        bool,
        typer.Option("--model-only", help="Load the model and compare it with the values published for it."),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(help="With --model-only: cpu, cuda, cuda:1, mps; default: the best there is."),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="With --model-only: float32 (default), bfloat16 or float16.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="With --model-only: folder with the model's files.")
    ] = None,
    trust_remote_code: common.TrustRemoteCode = False,
    allow_pickle: common.AllowPickle = False,
    catalog: common.Catalog = None,
    data: common.Data = None,
    cache: common.Cache = None,
    offline: common.Offline = False,
    json: common.Json = False,
) -> None:
    """Compare stored scores with published ones: equal, close or different, and what may be the cause.

    Equal: to the digits that were published. Close: within 0.1 points, or the tolerance of the suite's task.
    With --model-only, a model is loaded, and what it answers is compared with what was published.

    Exit codes: 0 all equal or close; 1 some different; 2 cannot answer.
    """
    from harness.errors import ConfigError

    if model_only:
        if suite or against or card or published or protocol:
            raise ConfigError(
                "--model-only compares no scores: leave out --suite, --against, --card, --published, "
                "--protocol"
            )
        allowed = {"trust_remote_code": trust_remote_code, "allow_pickle": allow_pickle}
        _golden(model, device, dtype, weights, catalog, allowed, offline=offline, json=json)
        return
    if device or dtype or weights or trust_remote_code or allow_pickle:
        raise ConfigError("options of loading a model go with --model-only; scores are read, not made")
    if card is not None and published is not None:
        raise ConfigError("--card and --published: choose one")
    given = Against.card if card else Against.published if published else None
    if against is not None and given not in (None, against):
        raise ConfigError(f"--against {against.value} does not go with --{given.value if given else ''}")
    where = against or given or Against.expect
    if where is Against.published and published is None:
        raise ConfigError("--against published needs the folder of results: --published DIR")
    from harness.cli.verify_scores import compare_scores

    code = compare_scores(
        model, where.value, suite, card, published, results, catalog, data, cache,
        protocol=protocol, offline=offline, json=json,
    )  # fmt: skip
    raise typer.Exit(code)


def _golden(
    model: str,
    device: str | None,
    dtype: str | None,
    weights: Path | None,
    catalog: Path | None,
    allowed: Mapping[str, bool],
    *,
    offline: bool,
    json: bool,
) -> None:
    common.hush(0)
    from harness.models.golden import compare_golden

    card, compared = compare_golden(
        model,
        catalog=catalog,
        device=device,
        dtype=dtype,
        weights=weights,
        offline=offline,
        **allowed,
    )
    differing = [one.what for one in compared if not one.agrees]
    if json:
        common.answer_json(
            {
                "model": card.name,
                "revision": card.revision,
                "dtype": card.dtype,
                "device": card.device,
                "agrees": not differing,
                "values": [
                    {
                        "what": one.what,
                        "expected": one.expected,
                        "found": one.found,
                        "difference": one.difference,
                        "tolerance": one.tolerance,
                        "agrees": one.agrees,
                        "source": one.source,
                    }
                    for one in compared
                ],
            }
        )
    else:
        cells = [
            [
                one.what if len(one.what) <= 32 else one.what[:29] + "...",
                f"{one.expected:.5f}",
                f"{one.found:.5f}",
                f"{one.difference:+.5f}",
                f"{one.tolerance:.5f}",
                "yes" if one.agrees else "NO",
                one.source,
            ]
            for one in compared
        ]
        heads = ["value", "expected", "found", "difference", "tolerance", "agrees", "source"]
        common.answer(common.table(heads, cells))
    if differing:
        common.say(f"{card.name}: {len(differing)} of {len(compared)} values differ: {'; '.join(differing)}")
        raise typer.Exit(1)
