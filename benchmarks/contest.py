"""Alternating runs of `harness eval` and mteb on the same files: the rows of end-to-end evaluation."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.process import BenchError, Run, module, run
from benchmarks.table import Row


@dataclass(frozen=True)
class Setup:
    """What both sides are given.

    Attributes:
        model: what `harness eval` is told; a name or a folder.
        folder: the same checkpoint as a folder, for mteb.
        data: folder of task folders.
        work: an empty folder for caches and results.
        runs: runs of each side.
        device: "cuda" ...; "cpu" leaves the choice to both sides and hides the GPUs from them.
        peer_dtype: what mteb's model computes with.
        cross: the model is a cross-encoder.
    """

    model: str
    folder: Path
    data: Path
    work: Path
    runs: int
    device: str = "cpu"
    peer_dtype: str = "float32"
    cross: bool = False


@dataclass
class Side:
    """What the runs of one side gave; the scores are those of the last run."""

    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, done: Run, scores: dict[str, float]) -> None:
        """Take in a finished run."""
        self.seconds.append(done.seconds)
        self.memory.append(done.memory)
        self.scores = scores


def contest(setup: Setup, tasks: Sequence[str], sides: Sequence[str]) -> dict[str, Side]:
    """Run the sides in turn, in the opposite order every other time, each in a fresh process.

    Args:
        sides: of "mteb"; "warm" (a forced second run on the caches of the float32 run before it); and
            precisions of cold runs of ours.
    """
    found = {side: Side() for side in sides}
    installed = setup.work / "installed"
    # mteb's table of tasks and the hashes of the weights: what any first command leaves behind.
    run(module("harness", "eval", setup.model, *_tasks(tasks[:1]), *_places(setup, installed), "--dry-run"))
    for turn in range(setup.runs):
        for side in sides if turn % 2 == 0 else in_turn(sides):
            home = setup.work / ("float32" if side == "warm" else side)
            if side != "warm":
                shutil.rmtree(home, ignore_errors=True)
                shutil.copytree(installed, home)
            command = peer(setup, tasks, home) if side == "mteb" else ours(setup, tasks, home, side)
            done = run(command, hidden(setup.device))
            found[side].add(done, json.loads(done.stdout) if side == "mteb" else scores_of(done.stdout))
            if side == "warm":
                found[side].notes = [reuse(home / "results")]
            say(f"{side} {turn + 1}/{setup.runs}: {done.seconds:.1f} s ({', '.join(tasks)})")
    shutil.rmtree(setup.work, ignore_errors=True)
    return found


def in_turn(sides: Sequence[str]) -> list[str]:
    """The sides from last to first, but "warm" still right behind "float32", whose caches it needs."""
    turned = [side for side in reversed(sides) if side != "warm"]
    if "warm" in sides:
        turned.insert(turned.index("float32") + 1, "warm")
    return turned


def ours(setup: Setup, tasks: Sequence[str], home: Path, side: str) -> list[str]:
    """The command of our side."""
    extra = ["--force"] if side == "warm" else ["--dtype", side]
    shown = ["--json", "-q", *_device(setup), *extra]
    return module("harness", "eval", setup.model, *_tasks(tasks), *_places(setup, home), *shown)


def peer(setup: Setup, tasks: Sequence[str], home: Path) -> list[str]:
    """The command of mteb's side."""
    extra = ["--dtype", setup.peer_dtype, *_device(setup), *(["--cross"] if setup.cross else [])]
    places = ["--results", home / "results", "--data", setup.data]
    return module("benchmarks.mteb_peer", setup.folder, *_tasks(tasks), *places, *extra)


def row(name: str, found: dict[str, Side], side: str, target: str = "") -> Row:
    """A line of the main table: one of our sides against mteb."""
    mine, theirs = found[side], found["mteb"]
    return Row(
        name,
        mine.seconds,
        theirs.seconds,
        target=target,
        scores=mine.scores,
        peer_scores=theirs.scores,
        memory=mine.memory,
        peer_memory=theirs.memory,
        notes=mine.notes,
    )


def scores_of(stdout: str) -> dict[str, float]:
    """Main scores by "task split/subset" of what `harness eval --json` printed."""
    return {f"{r['task']} {r['split']}/{r['subset']}": r["main_score"] for r in json.loads(stdout)}


def reuse(results: Path) -> str:
    """That the stored results say nothing was encoded, and whether the weights were read for them.

    Raises:
        BenchError: something was encoded, so that the run was not a warm one.
    """
    kept = [entry for path in sorted(results.rglob("*.json")) for entry in _provenance(path)]
    encoded = sum(entry["texts_encoded"] for entry in kept)
    asked = sum(entry["texts"] for entry in kept)
    if encoded or not asked:
        raise BenchError(f"the warm run encoded {encoded:,} of {asked:,} texts; nothing was to be encoded")
    # Nobody named a device, and a model settles on one only when its weights are read.
    unread = all(entry["device"] == "auto" for entry in kept)
    return f"{encoded} of {asked:,} texts encoded, weights {'not loaded' if unread else 'loaded'}"


def hidden(device: str) -> dict[str, str]:
    """Environment of a measured process: without GPUs where the processor is measured."""
    return {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}


def say(line: str) -> None:
    """Progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


def _tasks(tasks: Sequence[str]) -> list[str]:
    return [word for task in tasks for word in ("--task", task)]


def _places(setup: Setup, home: Path) -> list[str | Path]:
    return ["--results", home / "results", "--cache", home / "cache", "--data", setup.data]


def _device(setup: Setup) -> list[str]:
    return [] if setup.device == "cpu" else ["--device", setup.device]


def _provenance(path: Path) -> list[dict[str, Any]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    splits = content.get("harness", {}).get("entries", {}) if isinstance(content, dict) else {}
    return [entry["provenance"] for subsets in splits.values() for entry in subsets.values()]
