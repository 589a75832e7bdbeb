"""`harness verify MODEL --model-only`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import common


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("verify")(verify)


def verify(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model of the catalog: NAME[@REVISION][+VARIANT].")
    ],
    model_only: Annotated[
        bool, typer.Option("--model-only", help="Compare the model with the values published for it.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps; default: the best there is.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 (default), bfloat16 or float16.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Folder with the model's files.")] = None,
    trust_remote_code: common.TrustRemoteCode = False,
    allow_pickle: common.AllowPickle = False,
    catalog: common.Catalog = None,
    offline: common.Offline = False,
    json: common.Json = False,
) -> None:
    """Load a model and compare what it answers with what was published; exit 1 where a value differs."""
    from harness.errors import ConfigError

    if not model_only:
        raise ConfigError("comparing stored scores is not there yet; --model-only checks the model itself")
    common.hush(0)
    from harness.models.golden import compare_golden

    card, compared = compare_golden(
        model,
        catalog=catalog,
        device=device,
        dtype=dtype,
        weights=weights,
        offline=offline,
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
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
