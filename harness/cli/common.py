"""Options that several verbs share, and how answers reach stdout."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Offline = Annotated[bool, typer.Option("--offline", help="Make no network call.")]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", help="Folder of vectors and tables. [env: HARNESS_CACHE]", show_default=False),
]
Data = Annotated[
    list[Path] | None,
    typer.Option(
        "--data", help="Task data looked in first; repeatable. [env: HARNESS_DATA]", show_default=False
    ),
]
Results = Annotated[Path, typer.Option("--results", help="Folder of results.")]
Catalog = Annotated[
    Path | None, typer.Option("--catalog", help="A model catalog of your own (YAML).", show_default=False)
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Errors only.")]
Verbose = Annotated[
    int, typer.Option("-v", "--verbose", count=True, help="Say more; -vv: libraries and tracebacks too.")
]

LOCAL = Path("results/local")


def say(line: str) -> None:
    """One line of progress or advice, on stderr."""
    sys.stderr.write(line + "\n")


def answer(text: str) -> None:
    """The answer, on stdout."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def answer_json(value: Any) -> None:
    """The answer as JSON: sorted keys, UTF-8, no NaN."""
    answer(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False))


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned by display width (CJK characters are two wide), two spaces apart."""
    from rich.cells import cell_len

    widths = [max(cell_len(row[i]) for row in [headers, *rows]) for i in range(len(headers))]
    lines = []
    for row in [headers, *rows]:
        cells = [cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def hush(verbose: int) -> None:
    """Keep libraries' own bars, warnings and logs off the screen unless -vv asks for them."""
    import os
    import warnings

    if verbose >= 2:
        logging.basicConfig(level=logging.INFO)
        return
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "TRANSFORMERS_NO_ADVISORY_WARNINGS", "TQDM_DISABLE"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logging.getLogger().setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
