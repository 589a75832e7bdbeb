"""What a run needs and lacks, collected and said all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.errors import HarnessError
    from harness.task import Task


def tried(problems: list[HarnessError] | None, load: Callable[..., Any], *what: str, **how: Any) -> Any:
    """What is loaded; None, and why among the problems, where files or packages are missing.

    Args:
        problems: None where the first one is to be raised.
    """
    from harness.errors import MissingExtraError, ModelError

    try:
        return load(*what, **how)
    except (ModelError, MissingExtraError) as error:
        if problems is None:
            raise
        problems.append(error)
        return None


def all_missing(
    problems: Sequence[HarnessError], tasks: Sequence[Task], offline: bool, command: str
) -> HarnessError:
    """One error of the problems with the model and the data that cannot be had either; nothing is loaded.

    Args:
        offline: the user said --offline.
        command: what gets all of it.
    """
    from harness.data.presence import check, lacking
    from harness.errors import together

    _, gone = check(tasks, offline)
    return together([*problems, *([lacking(gone, offline, command)] if gone else [])])


def default_suite(model: str, catalog: Path | None) -> str | None:
    """The suite that a model's catalog row names, whether or not the model can be loaded."""
    from harness.first_stage import split_first
    from harness.models.catalog import load_catalog
    from harness.models.resolve import parse_reference

    row = load_catalog(catalog).find(parse_reference(split_first(model)[0]).name)
    return row.default_suite if row else None
