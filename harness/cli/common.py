"""Options that several verbs share, and how answers reach stdout."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import complete

if TYPE_CHECKING:
    from harness.report.plots.drawing import Drawing

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

# Of the verbs that score a model.
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A catalog name (NAME@REVISION+VARIANT), a hub id or a local path.",
        autocompletion=complete.models,
    ),
]
Suite = Annotated[
    str | None,
    typer.Option(
        help="A suite (harness suites lists them), mteb:BENCHMARK or a YAML file.",
        autocompletion=complete.suites,
    ),
]
Task = Annotated[list[str] | None, typer.Option(help="A task; repeatable.", autocompletion=complete.tasks)]
Subset = Annotated[list[str] | None, typer.Option(help="Only this subset; repeatable.")]
Split = Annotated[list[str] | None, typer.Option(help="Only this split; repeatable.")]
Protocol = Annotated[
    str | None, typer.Option(help="Override the suite's protocol.", autocompletion=complete.protocols)
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps; default: the best there is.")]
Dtype = Annotated[str | None, typer.Option(help="float32 (default), bfloat16 or float16.")]
Dim = Annotated[
    int | None, typer.Option(min=1, help="First components kept of a vector; unit length stays unit length.")
]
Quant = Annotated[str | None, typer.Option(help="Vectors rounded to int8 or binary.")]
Prompts = Annotated[str | None, typer.Option(help="card (default), mteb or none.")]
BatchTokens = Annotated[
    int | None, typer.Option(min=1, help="Tokens a batch; default: the first ones are timed.")
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", help="Memory for scoring beyond the model, such as 8GB; default 60 % of what is free."
    ),
]
Backend = Annotated[str | None, typer.Option(help="What runs the model: torch (default).")]
FirstStage = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[-K]",
        autocompletion=complete.models,
        help="Of a cross-encoder on retrieval tasks: bm25 or a bi-encoder, and how many documents a "
        "query it proposes; default 100.",
    ),
]
Weights = Annotated[Path | None, typer.Option(help="Folder with the model's files.")]
Name = Annotated[str | None, typer.Option(help="Name under which a local model is recorded.")]
Force = Annotated[bool, typer.Option("--force", help="Score again; vectors are reused.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Encode again; keep no vectors.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="A failed task does not end the run.")]
TrustRemoteCode = Annotated[bool, typer.Option("--trust-remote-code", help="Run a pinned model's code.")]
AllowPickle = Annotated[bool, typer.Option("--allow-pickle", help="Load weights that are pickles.")]

LOCAL = Path("results/local")
FAULTS = 5  # of a folder of results that are said without -v


def say(line: str) -> None:
    """One line of progress or advice, on stderr."""
    sys.stderr.write(line + "\n")


def answer(text: str) -> None:
    """The answer, on stdout."""
    sys.stdout.write(_lines(text))


def _lines(text: str) -> str:
    """Text that ends a line; half a surrogate pair, which a file's name may hold, becomes its escape."""
    whole = text if text.endswith("\n") else text + "\n"
    return whole.encode("utf-8", "backslashreplace").decode()


def answer_json(value: Any) -> None:
    """The answer as JSON: sorted keys, UTF-8, no NaN."""
    answer(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False))


def mute(line: str) -> None:
    """What -q puts in the place of `say`."""


def check_folders(results: Sequence[Path] | None) -> None:
    """Refuse (StoreError) a folder of results that was named and is not there."""
    from harness.errors import StoreError

    for root in results or ():
        if not root.is_dir():
            raise StoreError(f"--results {root}: there is no such folder")


def tell(root: Path, problems: Sequence[str], say: Callable[[str], None], *, whole: bool) -> None:
    """What could not be read or counted in a folder of results: a few lines and how many there are."""
    for line in problems if whole else problems[:FAULTS]:
        say(line)
    if len(problems) > FAULTS and not whole:
        say(f"{root}: {len(problems)} such faults, {FAULTS} shown; -v shows all")


def write(path: Path, text: str, say: Callable[[str], None] = say) -> None:
    """The answer into a file, whose folders are made. ConfigError where it cannot be written."""
    with _output(path, say):
        path.write_text(_lines(text), encoding="utf-8")


@contextmanager
def _output(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    from harness.errors import ConfigError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ConfigError(f"-o {path} cannot be written: {error.strerror}") from error
    say(f"wrote {path}")


def plot(drawing: Drawing, path: Path | None, say: Callable[[str], None], *, png: bool) -> None:
    """A drawing as SVG on stdout or in a file, or as PNG in a file. ConfigError where that cannot be."""
    from harness.errors import ConfigError
    from harness.report.plots.drawing import to_svg
    from harness.report.plots.png import to_png

    if not png:
        if path is None:
            answer(to_svg(drawing))
        else:
            write(path, to_svg(drawing), say)
        return
    if path is None:
        raise ConfigError("--format png needs a file: -o FILE.png")
    with _output(path, say):
        to_png(drawing, path)


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
