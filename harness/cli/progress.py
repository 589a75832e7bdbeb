"""What a run shows while it works: live bars on a terminal, a line a task elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from harness.cli.common import say

if TYPE_CHECKING:
    from harness.jobs import Event
    from harness.suite import Suite


class Screen:
    """Listens to a run's events.

    Args:
        quiet: show failures and warnings only.
    """

    def __init__(self, card: Any, suite: Suite, *, quiet: bool) -> None:
        self.card, self.suite, self.quiet = card, suite, quiet
        self.failures = 0
        self._total = sum(len(task.entries) for task in suite.tasks)
        self._finished = 0
        self._encoded_before = 0
        self._started = time.monotonic()
        self._bars: Any = None
        self._overall: Any = None
        self._task: Any = None

    def __enter__(self) -> Screen:
        if not self.quiet:
            variant = "".join(f"+{token}" for token in self.card.variant)
            say(f"{self.card.name}@{self.card.revision or 'no revision'}{variant} on {self.suite.title}")
            if self.card.revision is None and self.card.adapter in ("dense", "cross"):
                say("warning: no revision is pinned; the same name may mean other weights tomorrow")
            if sys.stderr.isatty():
                self._open_bars()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if event.what == "failed":
            self.failures += 1
            self.line(f"failed: {event.task}: {event.text.splitlines()[0]}")
        elif event.what == "warning":
            self.line(f"warning: {event.text}")
        elif self.quiet:
            return
        elif event.what == "encode":
            self._encoding(event)
        elif event.what == "start":
            self._describe(f"{event.task} {event.text}")
        elif event.what in ("prompt", "note"):
            self.line(f"{event.what}: {event.text}")
        elif event.what in ("skip", "absent", "stale"):
            self.line(f"{event.what}: {event.task}: {event.text}")
        elif event.what in ("reuse", "done"):
            self._finished += 1
            self.line(f"[{self._finished}/{max(self._total, self._finished)}] {event.task}: {event.text}")
            if self._bars is not None:
                self._bars.update(self._overall, completed=self._finished)

    def line(self, text: str) -> None:
        """One line above the bars, or on plain stderr."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            say(text)

    def _open_bars(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._overall = self._bars.add_task("all", total=self._total, rate="")
        self._task = self._bars.add_task("", total=None, rate="")
        self._bars.start()

    def _describe(self, text: str) -> None:
        if self._bars is not None:
            self._started = time.monotonic()
            self._bars.reset(self._task, description=text, total=None, rate="")

    def _encoding(self, event: Event) -> None:
        if self._bars is not None:
            rate = event.done / max(time.monotonic() - self._started, 1e-6)
            shown = f"{rate:.0f} texts/s" if event.done else ""
            self._bars.update(self._task, total=event.total or None, completed=event.done, rate=shown)
