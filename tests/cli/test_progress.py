"""What a run shows: a live view on a terminal, lines elsewhere, nothing on stdout, whatever happens."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.cli import progress
from harness.cli.progress import Pace, Screen, duration
from harness.jobs import Event
from harness.models.base import ModelCard
from harness.suite import Suite, load_task
from tests.toys import sts_rows, write_task

ROOT = Path(__file__).parent.parent.parent
CARD = ModelCard(name="test/toy", revision="1")
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "monotonic", made)
    return made


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    files = {"test": sts_rows(), "test__b": sts_rows(9)}
    return load_task("One", data=[write_task(tmp_path / "data", "One", "sts", "cosine_spearman", **files)])


@pytest.fixture
def terminal() -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, width=100, height=24, _environ={"TERM": "xterm-256color"}
    )


@pytest.fixture
def drawn(terminal: Console) -> Callable[[Screen], str]:
    """What the live view shows now, without control codes."""

    def look(screen: Screen) -> str:
        assert isinstance(terminal.file, io.StringIO)
        before = len(terminal.file.getvalue())
        screen._live.refresh()
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.file.getvalue()[before:])

    return look


def encode(done: int, total: int = 50_000, parts: Any = (), **more: Any) -> Event:
    return Event("encode", done=done, total=total, parts=tuple(parts), **more)


def test_a_terminal_sees_each_job_and_the_whole(
    suite: Suite,
    terminal: Console,
    clock: Clock,
    drawn: Callable[[Screen], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Screen(CARD, suite, quiet=False, console=terminal) as screen:
        screen(encode(0))
        clock.now += 10
        parts = [("JSTS test/default", 300, 300), ("SciFact test/default", 1_000, 5_483)]
        screen(encode(8_500, tokens=320_000, fraction=0.25, parts=parts))
        shown = drawn(screen)
        screen(Event("done", "One", "test/default cosine_spearman 97.20"))
    lines = [line.strip() for line in shown.splitlines() if line.strip()]
    assert [line.split()[0] for line in lines[:3]] == ["SciFact", "JSTS", "all"], "unfinished jobs first"
    assert "1,000/5,483" in lines[0]
    assert "8,500/50,000" in lines[2]
    assert lines[3] == "850 texts/s, 32,000 tokens/s, about 30 s left, 0 of 2 tasks"
    assert isinstance(terminal.file, io.StringIO)
    assert "[1/2] One: test/default cosine_spearman 97.20\n" in terminal.file.getvalue()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "test/toy@1 on One\n"


@pytest.mark.parametrize(
    ("adapter", "revision", "warned"),
    [
        ("dense@1", None, True),
        ("jina_bert@1", None, True),
        ("cross@1", None, True),
        ("cross@1", "abc", False),
        ("lexical@1", None, False),
        ("plugin", None, False),
    ],
)
def test_weights_without_a_revision_are_warned_of(
    adapter: str, revision: str | None, warned: bool, suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    with Screen(ModelCard(name="test/toy", revision=revision, adapter=adapter), suite, quiet=False):
        pass
    said = capsys.readouterr().err
    assert ("no revision is pinned" in said) is warned
    assert said.splitlines()[0].startswith(f"test/toy@{revision} on " if revision else "test/toy on ")


def test_a_terminal_sees_eight_jobs_at_most(
    suite: Suite, terminal: Console, drawn: Callable[[Screen], str]
) -> None:
    parts = [(f"Task{i} test/default", 5 if i < 3 else 0, 5) for i in range(11)]
    with Screen(CARD, suite, quiet=False, console=terminal) as screen:
        screen(encode(15, 55, parts))
        many = drawn(screen)
        terminal.height = 6
        few = drawn(screen)
    assert re.findall(r"Task\d+", many) == [f"Task{i}" for i in range(3, 11)]
    assert "and 3 more" in many
    assert "and 9 more" in few
    assert "all" in few


def test_names_are_text_and_wide_ones_are_cut(
    suite: Suite, terminal: Console, drawn: Callable[[Screen], str]
) -> None:
    with Screen(CARD, suite, quiet=False, console=terminal) as screen:
        screen(encode(1, 4, [("[red]Bitext[/red] jpn-eng", 0, 2), ("長い名前" * 20, 1, 2)]))
        shown = drawn(screen)
    assert "[red]Bitext[/red] jpn-eng" in shown
    assert "…" in shown
    assert len([line for line in shown.splitlines() if line.strip()]) == 4, "a line a job, none wrapped"


def test_before_and_after_encoding_the_tasks_are_counted(
    suite: Suite, terminal: Console, drawn: Callable[[Screen], str]
) -> None:
    with Screen(CARD, suite, quiet=False, console=terminal) as screen:
        screen(Event("start", "One", "test/default"))
        assert drawn(screen).strip() == "0 of 2 tasks done, at work: One test/default"
        screen(encode(4, 4))
        screen(Event("done", "One", "test/default 1.0"))
        assert drawn(screen).strip() == "1 of 2 tasks done"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_terminal_is_whole_after_an_error(
    suite: Suite, terminal: Console, error: type[BaseException]
) -> None:
    stdout, stderr = sys.stdout, sys.stderr

    def run() -> None:
        with Screen(CARD, suite, quiet=False, console=terminal) as screen:
            screen(encode(1, 4, [("One test/default", 0, 2)]))
            raise error

    with pytest.raises(error):
        run()
    assert isinstance(terminal.file, io.StringIO)
    written = terminal.file.getvalue()
    assert written.rindex(SHOW) > written.rindex(HIDE)
    assert (sys.stdout, sys.stderr) == (stdout, stderr)
    count = len(written)
    time.sleep(0.4)
    assert len(terminal.file.getvalue()) == count, "nothing draws any more"


def test_a_dumb_terminal_gets_lines(suite: Suite, capsys: pytest.CaptureFixture[str]) -> None:
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    with Screen(CARD, suite, quiet=False, console=dumb) as screen:
        screen(Event("done", "One", "test/default 1.0"))
    assert isinstance(dumb.file, io.StringIO)
    assert dumb.file.getvalue() == ""
    assert "[1/2] One: test/default 1.0\n" in capsys.readouterr().err


def test_elsewhere_a_line_a_task_and_one_a_minute(
    suite: Suite, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Screen(CARD, suite, quiet=False) as screen:
        for step in range(6_001):
            clock.now = 1000 + step / 40
            screen(encode(step * 2, 12_000, tokens=step * 80, fraction=step / 6_000))
        screen(Event("done", "One", "test/default cosine_spearman 97.20"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "test/toy@1 on One",
        "encoding: 4,800 of 12,000 texts, 80 texts/s, 3,200 tokens/s, about 90 s left",
        "encoding: 9,600 of 12,000 texts, 80 texts/s, 3,200 tokens/s, about 30 s left",
        "[1/2] One: test/default cosine_spearman 97.20",
    ]


def test_quiet_shows_failures_and_warnings_alone(
    suite: Suite, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Screen(CARD, suite, quiet=True) as screen:
        for step in range(4):
            clock.now += 100
            screen(encode(step, 4))
        screen(Event("done", "One", "test/default 1.0"))
        screen(Event("warning", "", "a shard is damaged"))
        screen(Event("failed", "One", "no such column\nand more"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "warning: a shard is damaged\nfailed: One: no such column\n"
    assert screen.failures == 1


@pytest.mark.parametrize("live", [True, False])
def test_events_come_from_several_threads(
    suite: Suite, terminal: Console, live: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(name: str) -> None:
        for at in range(50):
            screen(encode(at, 50, [(name, at, 50)], tokens=at * 9, fraction=at / 50))
            screen(Event("done", name, f"number {at}."))

    with Screen(CARD, suite, quiet=False, console=terminal if live else None) as screen:
        threads = [threading.Thread(target=work, args=(f"T{i}",), daemon=True) for i in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            if live:
                screen._live.refresh()
            for thread in threads:
                thread.join(timeout=0.02)
    assert isinstance(terminal.file, io.StringIO)
    written = terminal.file.getvalue() if live else capsys.readouterr().err
    found = re.findall(r"\[(\d+)/\d+\] (T\d): number (\d+)\.\n", written)
    assert [int(number) for number, _, _ in found] == list(range(1, 201))
    assert len({(name, at) for _, name, at in found}) == 200


def test_remaining_time_follows_characters_and_moves_slowly(clock: Clock) -> None:
    pace = Pace()
    pace.saw(encode(0, 1000))
    assert pace.words() == []
    for _ in range(20):
        clock.now += 1
        pace.saw(encode(10, 1000, fraction=0.2))
    for step in range(1, 21):  # long texts first: 1 % of the texts were 20 % of the characters
        clock.now += 1
        pace.saw(encode(10 + step, 1000, fraction=0.2 + step / 100))
    assert pace.share() == pytest.approx(0.4)
    left = left_of(pace)
    assert left == pytest.approx(60, abs=6), "40 seconds for 40 %, 60 for the rest"
    clock.now += 5
    assert left_of(pace) == pytest.approx(left - 5, abs=1), "it runs on without an event"
    clock.now += 0.5
    pace.saw(encode(31, 1000, fraction=0.8))
    assert 25 < left_of(pace) < 50, "one leap, after which 11 seconds are due, does not throw it about"
    assert Pace().share() == 0


def left_of(pace: Pace) -> float:
    (found,) = re.findall(r"about (\d+) s left", pace.words()[-1])
    return float(found)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (0.34, "0.3 s"),
        (42.4, "42 s"),
        (240, "4 min"),
        (7800, "2 h 10 min"),
        (1e7, "2,777 h 47 min"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.fixture
def pty() -> Iterator[tuple[int, int]]:
    module = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    ends: tuple[int, int] = module.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_a_run_on_a_real_terminal(tmp_path: Path, suite: Suite, pty: tuple[int, int]) -> None:
    controller, terminal = pty
    command = [sys.executable, "-m", "harness", "eval", "char-ngram", "--task", "One", "--json"]
    places = ["--data", tmp_path / "data", "--results", tmp_path / "r"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    done = subprocess.run(
        [*command, *map(str, places)], stdout=subprocess.PIPE, stderr=terminal, env=env, check=False
    )
    written = os.read(controller, 1 << 20).decode()
    assert done.returncode == 0, written
    assert done.stdout.startswith(b"[")
    assert b"\x1b" not in done.stdout
    assert "[2/2] One" in written
    assert written.rindex(SHOW) > written.rindex(HIDE)
