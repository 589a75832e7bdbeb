"""`harness cache list`."""

from __future__ import annotations

import typer

from harness.cli import common


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    verbs = typer.Typer(help="The store of vectors and pair scores.", no_args_is_help=True)
    verbs.command("list")(list_)
    app.add_typer(verbs, name="cache")


def list_(cache: common.Cache = None, json: common.Json = False) -> None:
    """List what the cache holds: one line a model fingerprint."""
    from harness.engine.vectors import inventory
    from harness.paths import cache_folder

    root = cache_folder(cache)
    rows = inventory(root)
    if json:
        common.answer_json({"cache": str(root), "namespaces": rows})
        return
    common.answer(f"cache: {root}")
    if rows:
        cells = [
            [
                r["kind"],
                r["fingerprint"][:16],
                r["model"] or "-",
                str(r["shards"]),
                f"{r['bytes'] / 1e6:.1f} MB",
            ]
            for r in rows
        ]
        common.answer(common.table(["kind", "fingerprint", "model", "shards", "size"], cells))
