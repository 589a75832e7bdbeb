"""Results in mteb's own JSON, to be read and compared with mteb; never a submission to its leaderboard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from harness.errors import ConfigError
from harness.report.card.edits import Change
from harness.report.card.files import File
from harness.report.card.source import Known
from harness.store.format import encode, merged
from harness.types import Result

NOTE = (
    "Computed by harness, not by mteb, in mteb's format for comparison. Not a submission: mteb's leaderboard "
    "takes results made by mteb itself."
)


def mteb_json(results: Sequence[Result], known: Known) -> dict[str, dict[str, Any]]:
    """File name to document, one a task, as `mteb.results.TaskResult` reads them; each carries the note.

    Raises:
        ConfigError: a result that is not of a task of mteb by protocol mteb.
    """
    tasks: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.protocol != "mteb" or result.task not in known.types:
            why = f"protocol {result.protocol}" if result.protocol != "mteb" else "no task of mteb"
            raise ConfigError(f"{result.task} cannot be written as mteb's JSON: {why}")
        tasks[result.task].append(result)
    made: dict[str, dict[str, Any]] = {}
    for task, own in sorted(tasks.items()):
        document: dict[str, Any] | None = None
        for result in own:
            document = merged(document, result, None)
        assert document is not None
        made[f"{task}.json"] = {k: v for k, v in document.items() if k != "harness"} | {"note": NOTE}
    return made


def json_files(documents: dict[str, dict[str, Any]], read: Callable[[str], bytes | None]) -> list[File]:
    """The files of these documents; what stands there is replaced whole."""
    files = []
    for name, document in documents.items():
        before, after = read(name), encode(document)
        what = "added" if before is None else "unchanged" if before == after else "updated"
        files.append(File(name, before, after, (Change(what, name, 1),)))  # type: ignore[arg-type]
    return files
