"""What a run shows while it works: a live view on a terminal, a line a task elsewhere; always on stderr."""

from __future__ import annotations

import math
import sys
import threading
from collections import deque
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

from harness.cli.common import say

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from harness.jobs import Event
    from harness.suite import Suite

JOBS_SHOWN = 8
SECONDS_BETWEEN_LINES = 60.0
# Rates are of the last half minute; the time of the end moves towards a new estimate within some ten seconds.
_WINDOW, _SMOOTH = 30.0, 10.0


class Screen:
    """Listens to a run's events, from whatever thread they come.

    Args:
        quiet: show failures and warnings only.
        console: where the live view goes, terminal or not; None: to stderr, and only on a terminal.
    """

    def __init__(self, card: Any, suite: Suite, *, quiet: bool, console: Console | None = None) -> None:
        self.card, self.suite, self.quiet = card, suite, quiet
        self.failures = 0
        self._total = sum(len(task.entries) for task in suite.tasks)
        self._finished = 0
        self._pace = Pace()
        self._said = -math.inf
        self._now = ""
        self._console = console
        self._live: Any = None
        self._lock = threading.Lock()

    def __enter__(self) -> Screen:
        if not self.quiet:
            variant = "".join(f"+{token}" for token in self.card.variant)
            revision = f"@{self.card.revision}" if self.card.revision else ""
            say(f"{self.card.name}{revision}{variant} on {self.suite.title}")
            if self.card.revision is None and self.card.framework:
                say("warning: no revision is pinned; the same name may mean other weights tomorrow")
            if self._console is not None or sys.stderr.isatty():
                self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            live, self._live = self._live, None
        if live is not None:
            live.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        with self._lock:
            self._show(event)

    def line(self, text: str) -> None:
        """One line above the live view, or on plain stderr."""
        with self._lock:
            self._line(text)

    def _show(self, event: Event) -> None:
        if event.what == "failed":
            self.failures += 1
            self._line(f"failed: {event.task}: {event.text.splitlines()[0]}")
        elif event.what == "warning":
            self._line(f"warning: {event.text}")
        elif self.quiet:
            return
        elif event.what == "encode":
            self._pace.saw(event)
            self._now_and_then()
        elif event.what == "start":
            self._now = f"{event.task} {event.text}"
        elif event.what in ("prompt", "note"):
            self._line(f"{event.what}: {event.text}")
        elif event.what in ("skip", "absent", "stale"):
            self._line(f"{event.what}: {event.task}: {event.text}")
        elif event.what in ("reuse", "done"):
            self._finished += 1
            self._now = "" if self._now.startswith(f"{event.task} ") else self._now
            self._line(f"[{self._finished}/{max(self._total, self._finished)}] {event.task}: {event.text}")

    def _line(self, text: str) -> None:
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            say(text)

    def _now_and_then(self) -> None:
        """Off a terminal: a line once a minute, where encoding lasts that long."""
        pace, now = self._pace, monotonic()
        if self._live is not None or pace.last is None or pace.last.done >= pace.last.total:
            return
        if now - max(pace.began, self._said) >= SECONDS_BETWEEN_LINES:
            self._said = now
            say(f"encoding: {', '.join([f'{pace.last.done:,} of {pace.last.total:,} texts', *pace.words()])}")

    def _open(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = self._console or Console(stderr=True)
        if not self._console.is_interactive:  # a dumb terminal cannot redraw
            return
        # The view goes away at the end: what stays on the screen are the finished tasks' lines. The thread
        # that redraws takes none of our locks, so that it can never wait for a line being printed.
        self._live = Live(
            get_renderable=self._view,
            console=self._console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._live.start(refresh=True)

    def _view(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        pace = self._pace
        seen = pace.last
        tasks = f"{self._finished} of {max(self._total, self._finished)} tasks"
        if seen is None or seen.done >= seen.total:
            return Text(f"{tasks} done" + (f", at work: {self._now}" if self._now else ""), no_wrap=True)
        grid = _grid()
        room = min(JOBS_SHOWN, max((self._console.height if self._console else 0) - 4, 0))
        parts = sorted(seen.parts, key=lambda part: part[1] >= part[2])
        for name, done, needed in parts[:room]:
            _row(grid, name, done / max(needed, 1), f"{done:,}/{needed:,}")
        if len(parts) > room:
            grid.add_row(Text(f"and {len(parts) - room} more", style="dim"))
        _row(grid, "all", pace.share(), f"{seen.done:,}/{seen.total:,}")
        return Group(grid, Text(", ".join([*pace.words(), tasks]), no_wrap=True))


class Pace:
    """How fast texts are encoded, from the events of a run; written by one thread at a time, read by any."""

    def __init__(self) -> None:
        self.last: Event | None = None
        self.began = 0.0
        self._recent: deque[tuple[float, int, int]] = deque()
        self._rates = ""
        self._end: float | None = None
        self._at = 0.0

    def saw(self, event: Event) -> None:
        """Take one more "encode" event in."""
        now = monotonic()
        if self.last is None:
            self.began = now
        self._recent.append((now, event.done, event.tokens))
        while len(self._recent) > 2 and self._recent[1][0] <= now - _WINDOW:
            self._recent.popleft()
        start, texts, tokens = self._recent[0]
        if now > start:
            made = {"texts": event.done - texts, "tokens": event.tokens - tokens}
            self._rates = ", ".join(f"{n / (now - start):,.0f} {what}/s" for what, n in made.items() if n > 0)
        self.last = event
        share, elapsed = self.share(), now - self.began
        if share > 0 and elapsed > 0:
            end = now + elapsed * (1 - share) / share
            weight = 1.0 if self._end is None else 1 - math.exp((self._at - now) / _SMOOTH)
            self._end = end if self._end is None else self._end + weight * (end - self._end)
        self._at = now

    def share(self) -> float:
        """Share of the work that is done: by characters where they are known, else by texts."""
        seen = self.last
        return 0.0 if seen is None else seen.fraction or seen.done / max(seen.total, 1)

    def words(self) -> list[str]:
        """Texts and tokens a second, and the time that is left, as far as they are known."""
        left = [] if self._end is None else [f"about {duration(max(self._end - monotonic(), 1.0))} left"]
        return ([self._rates] if self._rates else []) + left


def duration(seconds: float) -> str:
    """Seconds as a person says them: "0 s", "0.3 s", "40 s", "4 min", "2 h 10 min"."""
    if 0.05 <= seconds < 1:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{max(seconds, 0.0):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60:,} h {minutes % 60} min"


def _grid() -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=40)
    grid.add_column(max_width=28)
    grid.add_column(justify="right", no_wrap=True)
    return grid


def _row(grid: Table, name: str, share: float, counts: str) -> None:
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    grid.add_row(Text(name), ProgressBar(total=1.0, completed=min(share, 1.0)), counts)
