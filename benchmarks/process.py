"""A whole process, start-up included: its wall time, its peak memory, what it printed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
MIB = 2**20
SAMPLES_A_SECOND = 20


class BenchError(Exception):
    """What a benchmark lacks, or how a process it measures failed; one to three lines."""


@dataclass(frozen=True)
class Run:
    """One finished process.

    Attributes:
        seconds: wall time from start to exit.
        memory: peak of anonymous resident memory in bytes, summed over the process and its children.
        resident: the largest resident set of any one of them in bytes, as the kernel kept it.
        stdout: what it printed.
    """

    seconds: float
    memory: int
    resident: int
    stdout: str


def module(name: str, *arguments: str | Path) -> list[str]:
    """The command that runs a module with this interpreter."""
    return [sys.executable, "-m", name, *(str(argument) for argument in arguments)]


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Run:
    """Run a command from the repository's root to its end, without a network.

    Raises:
        BenchError: it exits with anything but 0; the message has the end of what it said.
    """
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    own = {**os.environ, **offline, **(environment or {})}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=own, stdout=out, stderr=err)
        peak = [0]
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, ended, peak), daemon=True)
        watcher.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - started
        ended.set()
        watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            said = err.read().decode(errors="replace").strip().splitlines()[-3:]
            raise BenchError(f"exit {process.returncode}: {' '.join(command)}\n" + "\n".join(said))
        resident = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return Run(seconds, peak[0] or resident, resident, out.read().decode())


def _watch(pid: int, ended: threading.Event, peak: list[int]) -> None:
    while True:
        peak[0] = max(peak[0], sum(_anonymous(each) for each in _tree(pid)))
        if ended.wait(1 / SAMPLES_A_SECOND):
            return


def _tree(pid: int) -> list[int]:
    """The process and its descendants; empty where the kernel tells nothing of them."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for listed in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                waiting.extend(int(child) for child in listed.read_text().split())
            except OSError:
                continue
    return found


def _anonymous(pid: int) -> int:
    """RssAnon of a process in bytes, 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)
