"""How long a leaderboard over published results takes, cold and warm, beside mteb's own loading of them.

    python -m benchmarks.leaderboard --files 105000 --runs 3

The tree of `--files` files is the published one, again and again under other models' names (hard links, in a
temporary folder). "cold" is the whole command without an index, "warm" with one. Where the published results
are not at hand (HARNESS_SHARED), files of the same shape are made.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.process import BenchError, module, run

SUITE = "cmteb-31"
TARGETS = {9_150: "index 3 s cold; command 1.5 s warm", 105_000: "index 15 s cold; command 3 s warm"}
MTEB = (
    "import sys; from pathlib import Path; from mteb.cache import ResultCache; "
    "ResultCache(Path(sys.argv[1])).load_results(include_remote=False, require_model_meta=False)"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--files", type=int, action="append", help="files of a tree; repeatable")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write (default: the temporary folder)")
    parser.add_argument("--mteb-limit", type=int, default=20_000, help="mteb loads trees up to this size")
    given = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    print(
        f"`harness leaderboard {SUITE}`, whole commands, {os.cpu_count()} cores, load {load:.1f} before. "
        "CPU seconds are of the process and its children.\n"
    )
    print("| files | what | wall s | CPU s | target |\n|---:|---|---:|---:|---|")
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="bench-leaderboard-") as folder:
        work = Path(folder)
        source = published(work / "published")
        run([*module("harness"), "show", SUITE, "--cache", str(work / "cache")])  # mteb's table; not counted
        for count in given.files or list(TARGETS):
            tree = work / "results"
            made = grown(source, tree, count)
            target = TARGETS.get(made, "")
            command = [*module("harness"), "leaderboard", SUITE, "--results", str(tree)]
            command += ["--cache", str(work / "cache"), "-o", str(work / "out.md")]
            cold = []
            for _ in range(given.runs):
                shutil.rmtree(work / "cache" / "results", ignore_errors=True)
                cold.append(timed(command))
            warm = [timed(command) for _ in range(given.runs)]
            for what, found in (("cold", cold), ("warm", warm)):
                print(line(made, what, found, target))
            if made <= given.mteb_limit:
                print(line(made, "mteb's load_results", [timed([sys.executable, "-c", MTEB, str(work)])], ""))
            shutil.rmtree(tree)


def published(folder: Path) -> Path:
    """The published results, unpacked; made ones where they are not at hand."""
    shared = Path(os.environ.get("HARNESS_SHARED", Path(__file__).parents[2] / "shared"))
    archive = shared / "reference" / "published_results.tar.zst"
    if not archive.is_file():
        return synthetic(folder)
    import pyarrow as pa

    with (
        pa.input_stream(str(archive), compression="zstd") as stream,
        tarfile.open(fileobj=stream, mode="r|") as members,
    ):
        members.extractall(folder, filter="data")
    return next(folder.iterdir())


def synthetic(folder: Path, models: int = 200, tasks: int = 45) -> Path:
    """Files of mteb's shape: classification with its experiments, a fifth of them with literal NaN."""
    draw = random.Random(0)
    for model in range(models):
        own = folder / f"org__model{model}" / "main"
        own.mkdir(parents=True)
        for task in range(tasks):
            scores = [
                {
                    "scores_per_experiment": [
                        {"accuracy": draw.random(), "f1": draw.random()} for _ in range(10)
                    ],
                    **{f"metric_{i}": draw.random() for i in range(12)},
                    "ap": float("nan") if task % 5 == 0 else draw.random(),
                    "main_score": draw.random(),
                    "hf_subset": subset,
                    "languages": ["eng-Latn"],
                }
                for subset in ["default", *(f"s{i}" for i in range(draw.randrange(20)))]
            ]
            content = {"dataset_revision": "r", "task_name": f"T{task}", "mteb_version": "2"}
            text = json.dumps({**content, "scores": {"test": scores}}, indent=2)
            (own / f"T{task}.json").write_text(text, encoding="utf-8")
    return folder


def grown(source: Path, tree: Path, count: int) -> int:
    """Link `count` files of `source` into `tree`, copies under other models' names; how many there are.

    Raises:
        BenchError: the source has none.
    """
    files = sorted(path.relative_to(source) for path in source.rglob("*.json"))
    if not files:
        raise BenchError(f"no results in {source}")
    for number in range(count):
        copy, place = divmod(number, len(files))
        model, *rest = files[place].parts
        target = tree.joinpath(f"{model}-{copy}" if copy else model, *rest)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source / files[place], target)
    return count


def timed(command: Sequence[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    run(command)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def line(files: int, what: str, found: Sequence[tuple[float, float]], target: str) -> str:
    """A row of the table: medians."""
    wall, cpu = (statistics.median(side) for side in zip(*found, strict=True))
    return f"| {files:,} | {what} | {wall:.2f} | {cpu:.2f} | {target or '–'} |"


if __name__ == "__main__":
    main()
