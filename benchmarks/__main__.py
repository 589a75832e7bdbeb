"""python -m benchmarks: one Markdown document on stdout, progress on stderr; see benchmarks/README.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import gpu, table
from benchmarks.inputs import SMALL
from benchmarks.process import BenchError
from benchmarks.rows import LEFT_OUT, NAMES, Found, Plan, Sections, measure

QUICK = ("eval-cold", "warm", "bf16", "jsts", "xquad-reranking", "forward", "rerank", "growth", "scoring")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0, or 2 with a few lines on stderr where something is missing or fails."""
    args = parser().parse_args(arguments)
    rows: list[table.Row] = []
    sections: Sections = []
    text = ""
    try:
        names = chosen(args.only, args.what, args.quick)
        about = f"{_machine(args)}; {_versions()}; {datetime.now(UTC):%Y-%m-%d}. {MEMORY}"
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            for more, below in _found(args, names, Path(folder)):
                rows += more
                sections += below
                text = table.document(rows, "Benchmarks", about, sections)
                # After each row, so that a broken run loses little.
                for path, content in (
                    (args.output, text),
                    (args.json, json.dumps(table.raw(rows), indent=1)),
                ):
                    if path:
                        path.write_text(content, encoding="utf-8")
    except BenchError as error:
        print(text, end="")
        print(error, file=sys.stderr)
        return 2
    print(text, end="")
    return 0


def _found(args: argparse.Namespace, names: Sequence[str], work: Path) -> Found:
    if args.what == "cpu":
        return measure(planned(args, names), work)
    options = {
        "device": args.device,
        "dtype": args.dtype,
        "scale": args.scale,
        "queries": args.queries or 300,
    }
    return gpu.measure(names, work, runs=args.runs or 3, **options)


MEMORY = (
    "Times are of whole processes. Memory is the peak of anonymous resident memory (RssAnon), summed over a "
    "process and its children, looked at 20 times a second; the largest of the runs."
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("what", nargs="?", choices=("cpu", "gpu"), default="cpu")
    made.add_argument(
        "--only", help=f"rows, comma-separated: {', '.join(NAMES)}; gpu: {', '.join(gpu.NAMES)}"
    )
    made.add_argument("--quick", action="store_true", help="small tasks, one run, a few minutes")
    made.add_argument("--runs", type=positive, help="runs of each side (3; 1 for the longest rows)")
    made.add_argument("--queries", type=positive, help="queries of the cross-encoder's task (100; gpu: 300)")
    made.add_argument("--base", type=positive, help="documents of the growing corpus at 1x (600)")
    made.add_argument(
        "--scale", type=float, default=10.0, help="gpu: size of synthetic tasks; 1 takes real data"
    )
    made.add_argument("--device", default="cuda", help="gpu: which one")
    made.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float16", "float32"), help="gpu")
    made.add_argument("-o", "--output", type=Path, help="write the document here too, after every row")
    made.add_argument("--json", type=Path, help="write every single figure here")
    return made


def chosen(only: str | None, what: str, quick: bool) -> list[str]:
    """Names of the rows to measure, in the order of the table.

    Raises:
        BenchError: an unknown name.
    """
    known = gpu.NAMES if what == "gpu" else NAMES
    if only is None:
        default = QUICK if quick and what == "cpu" else known
        return [name for name in default if name not in LEFT_OUT]
    asked = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        raise BenchError(f"no row {', '.join(unknown) or repr(only)}; there are {', '.join(known)}")
    return [name for name in known if name in asked]


def planned(args: argparse.Namespace, names: Sequence[str]) -> Plan:
    """How much to measure: what was asked, else the defaults, smaller with --quick."""
    if not args.quick:
        return Plan(names, args.runs, queries=args.queries or 100, base=args.base or 600)
    return Plan(
        names,
        args.runs or 1,
        tasks=SMALL,
        documents=512,
        queries=args.queries or 10,
        base=args.base or 60,
        others={"scoring": ["--queries", "2000", "--docs", "20000", "--runs", "1"]},
    )


def positive(text: str) -> int:
    """A whole number above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _machine(args: argparse.Namespace) -> str:
    """What computes, in words."""
    if args.what == "gpu":
        gpu.check(args.device)
        return gpu.machine(args.device)
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    amx = any(line.startswith("flags") and "amx_bf16" in line for line in lines)
    return f"{named or platform.machine()}{' (AMX)' if amx else ''}, {os.cpu_count()} cores"


def _versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("mteb", "sentence-transformers", "torch"))


if __name__ == "__main__":
    sys.exit(main())
