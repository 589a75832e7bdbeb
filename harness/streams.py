"""The random stream of one task object, replayed over the task's entries (`rng: sequence`).

mteb's fast clustering and multilabel classification draw from a generator that belongs to the task object
and runs on from one (split, subset) to the next, so that a score depends on what the object scored before.
`rng: alone`, the default, gives every entry a generator of its own. `rng: sequence` gives each the state that
one fresh object has after all entries in front of it; what those draw is replayed from their data alone,
whether or not they are scored in the run, so that no order, selection or resumption of a run matters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.data.examples import Examples
from harness.entries import Entry
from harness.task import Task
from harness.types import Result

# Settings of a stored score that name its stream; scores without them drew alone.
RNG, AFTER, STATE = "rng", "rng_after", "rng_state"


@dataclass(frozen=True)
class Stream:
    """Where the stream stands before an entry draws.

    Attributes:
        state: as the scorer's module takes it under the setting `stream`; None for a fresh generator.
        settings: what a record says of it: the choice, the digest of the entries in front, that of the
            state. Empty for a fresh generator, whose draws are those of `rng: alone`.
    """

    state: Any = None
    settings: Mapping[str, str] = field(default_factory=dict)


FRESH = Stream()


def walked(task: Task) -> Iterator[tuple[Entry, bool]]:
    """The entries whose data a run needs, in order, and whether each is to be scored."""
    if not task.sequence:
        yield from ((entry, True) for entry in task.entries)
        return
    last = max(task.sequence.index(entry) for entry in task.entries)
    yield from ((entry, entry in task.entries) for entry in task.sequence[: last + 1])


def following(task: Task, entry: Entry, examples: Examples, settings: Mapping[str, Any]) -> Stream:
    """The stream once an entry has drawn; a fresh one where every entry draws alone.

    Args:
        settings: of the scorer, with the entry's own state under `stream`.

    Raises:
        DataError: mteb could not have drawn from the entry's data.
    """
    at = task.sequence.index(entry) + 1 if task.sequence else 0
    if not 0 < at < len(task.sequence):
        return FRESH
    state = task.scorer.load().drawn(examples, settings)
    told = {RNG: "sequence", AFTER: after(task, task.sequence[at]), STATE: _digest(state)}
    return Stream(state, told)


def after(task: Task, entry: Entry) -> str:
    """Digest of the entries that draw before this one; empty where it draws alone or first."""
    at = task.sequence.index(entry) if entry in task.sequence else 0
    return _digest(task.sequence[:at]) if at else ""


def stream_of(result: Result) -> str:
    """What `after` said of a stored result when it was scored; empty where it drew alone or first."""
    settings = result.provenance.get("settings")
    return str(settings.get(AFTER, "")) if isinstance(settings, Mapping) else ""


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]
