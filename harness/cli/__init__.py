"""The command line: one module a verb; parse, call, print."""

from __future__ import annotations

import functools
import io
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from harness import __version__
from harness.errors import HarnessError

app = typer.Typer(
    name="harness",
    help="Score embedding and reranking models on MTEB, C-MTEB and JMTEB.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 good; 1 the answer is no; 2 cannot answer; 130 interrupted, finished work kept.",
)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"harness {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


@functools.cache
def _register() -> None:
    """Give the program its verbs: once, however often a process calls `main`."""
    from harness.cli import (
        cache,
        card,
        compare,
        doctor,
        evaluate,
        gate,
        leaderboard,
        listing,
        noise,
        prefetch,
        sweep,
        tasks,
        verify,
    )

    scoring = (evaluate, sweep, listing, tasks, leaderboard, compare, card, gate, noise)
    for module in (*scoring, prefetch, cache, verify, doctor):
        module.register(app)


def main() -> None:
    """Run the command line; errors of ours are one to three lines on stderr and exit code 2."""
    _register()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal that lacks a character is no reason to die
    try:
        with _stoppable():
            app()
    except HarnessError as error:
        _explain(str(error), error.more)
    except (OSError, RuntimeError, ValueError, MemoryError) as error:
        _explain(
            f"{type(error).__name__}: {error}\nnot an error this program knows; -vv shows where it came from"
        )


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM, by which schedulers end a job, is Ctrl-C: what is finished is kept, and the run says so."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _explain(text: str, more: Sequence[str] = ()) -> None:
    """Print an error, under -v `more` too, and leave with code 2; under -vv let the traceback through."""
    if "-vv" in sys.argv:
        raise
    lines = text.splitlines()
    shown = [*lines[:19], f"... and {len(lines) - 19} more"] if len(lines) > 20 else lines
    shown += more if {"-v", "--verbose"} & set(sys.argv) else ()
    sys.stderr.write("error: " + "\n       ".join(shown) + "\n")
    raise SystemExit(2)
