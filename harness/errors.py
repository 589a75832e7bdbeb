"""Everything the program refuses, as one small tree.

HarnessError                 base: one to three lines for the user, exit code 2
|-- UnknownNameError         a model, task, suite, split, subset, metric ... that nobody knows
|-- DataError                task data that is missing, malformed or empty (file and line)
|   `-- MissingSplitError    data without the split that was asked for
|-- ModelError               weights, kind, prompts or output of a model
|   `-- NonFiniteError       a model answered NaN or infinity (names the text)
|-- StoreError               a results folder or cache that cannot be read or written
|-- ConfigError              a YAML or option that says something impossible
`-- MissingExtraError        an optional dependency that is not installed (says the install line)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class HarnessError(Exception):
    """Something the user can act on; printed without a traceback, exit code 2.

    Attributes:
        more: lines for those who ask for them (-v), such as every name where the message counts them.
    """

    more: tuple[str, ...] = ()


class DataError(HarnessError):
    """Task data is missing, malformed or empty."""


class MissingSplitError(DataError):
    """Task data have no such split; who can do without it goes on."""


class ModelError(HarnessError):
    """A model cannot be loaded, is of the wrong kind, or answered nonsense.

    Attributes:
        answered: where a call failed halfway, what is good of it: places int64 [m] in what was asked for,
            and their vectors or scores; the engine stores them before the error goes on. Else None.
    """

    answered: tuple[Any, Any] | None = None


class NonFiniteError(ModelError):
    """A model answered NaN or infinity for a text."""


class StoreError(HarnessError):
    """A results folder or cache cannot be read or written."""


class ConfigError(HarnessError):
    """A configuration file or option says something impossible."""


class MissingExtraError(HarnessError):
    """An optional dependency is not installed."""


class UnknownNameError(HarnessError):
    """A name that nothing answers to; carries the nearest known ones.

    Args:
        what: the sort of thing ("model", "task", "suite", "subset" ...).
        name: what the user wrote.
        known: every name that would have been accepted.
        hint: one more sentence, where it helps.
    """

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "") -> None:
        near = nearest(name, known)
        text = f"unknown {what} {name!r}"
        if near:
            text += f"; did you mean {', '.join(near)}?"
        if hint:
            text += f"\n{hint}"
        super().__init__(text)
        self.what, self.name, self.near = what, name, near


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """The known names closest to `name` (case ignored), best first; at most `n`."""
    by_lower: dict[str, str] = {}
    for candidate in known:
        by_lower.setdefault(candidate.lower(), candidate)
    close = difflib.get_close_matches(name.lower(), by_lower, n=n, cutoff=0.5)
    inside = [low for low in by_lower if name.lower() in low and low not in close] if len(name) > 2 else []
    return [by_lower[low] for low in (close + sorted(inside, key=len))[:n]]


def together(problems: Sequence[HarnessError]) -> HarnessError:
    """One error that says them all; a single one stays what it is."""
    if len(problems) == 1:
        return problems[0]
    joined = DataError("\n".join(dict.fromkeys(str(problem) for problem in problems)))
    joined.more = tuple(line for problem in problems for line in problem.more)
    return joined
