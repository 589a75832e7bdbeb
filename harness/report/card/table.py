"""A Markdown table of results between two markers in a README, replaced in place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from harness.errors import DataError
from harness.report.card.edits import Change, Edit
from harness.report.card.files import File
from harness.report.card.groups import Group
from harness.report.card.splice import apply
from harness.report.markdown import escape, table

BEGIN, END = "<!-- harness:begin -->", "<!-- harness:end -->"
DIGITS = {100: 2, 1: 4}  # shown where nobody says, by scale
_FRONT = re.compile(r"\ufeff?---[ \t]*\r?\n.*?^---[ \t]*\r?$", re.MULTILINE | re.DOTALL)
# also as the first line of a list's item; words behind backticks hold none, or they are code within a line
_FENCE = re.compile(
    r"^[ \t]*(?:(?:[-*+]|\d+[.)])[ \t]+)*(?P<fence>```+(?=[^`\n]*$)|~~~+)[^\n]*\n"
    r"(?:.*?^[ \t]*(?P=fence)[`~]*[ \t]*\r?$|.*)",
    re.MULTILINE | re.DOTALL,
)
_MARKER = re.compile(rf"^\ufeff?[ \t]*({re.escape(BEGIN)}|{re.escape(END)})[ \t]*\r?$", re.MULTILINE)


def results_table(groups: Sequence[Group], label: str, digits: int | None = None) -> str:
    """A pipe table, a line a metric, under a line that says whose values these are.

    Args:
        label: model, revision and variant.
        digits: decimals of the values; default two for percentages, four for shares.
    """
    rows = [
        (
            escape(group.task),
            escape("/".join(group.entry)),
            escape(str(metric["type"])),
            f"{metric['value']:.{DIGITS[group.scale] if digits is None else digits}f}",
        )
        for group in groups
        for metric in group.data["metrics"]
    ]
    scales = {100: "x100", 1: "0 to 1"}
    said = _listed(sorted({f"protocol {g.protocol}, {scales[g.scale]}" for g in groups}))
    return f"{escape(label)} ({said})\n\n" + table(("Task", "Split", "Metric", "Score"), rows, left=(0, 1, 2))


def table_file(path: str, raw: bytes, text: str) -> File:
    """A README with the table between its markers; all else stays.

    Markers in a block of code are an example of them and do not count.

    Raises:
        DataError: no pair of markers, or more than one; with the lines.
    """
    try:
        old = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: not UTF-8 (byte {error.start})") from error
    found = _markers(old)
    if not found:
        raise DataError(f"{path} has no place for the table: put these two lines there\n{BEGIN}\n{END}")
    if [mark[1] for mark in found] != [BEGIN, END]:
        lines = ", ".join(str(old.count("\n", 0, mark.start()) + 1) for mark in found)
        raise DataError(
            f"{path}: the table needs one {BEGIN} and one {END} below it (markers in lines {lines})"
        )
    newline = "\r\n" if found[0][0].endswith("\r") else "\n"
    start, end = found[0].end() + 1, found[1].start()
    new = text.replace("\n", newline)
    line = old.count("\n", 0, start) + 1
    if old[start:end] == new:
        return File(path, raw, raw, (Change("unchanged", "table", line),))
    what = "updated" if old[start:end].strip() else "added"
    after = apply(old, [Edit(start, end, new)]).encode("utf-8")
    return File(path, raw, after, (Change("updated" if what == "updated" else "added", "table", line),))


def _markers(text: str) -> list[re.Match[str]]:
    """The markers outside blocks of code."""
    front = _FRONT.match(text)
    found: list[re.Match[str]] = []
    at = front.end() if front else 0
    while at < len(text):
        fence = _FENCE.search(text, at)
        found += _MARKER.finditer(text, at, fence.start() if fence else len(text))
        at = fence.end() if fence else len(text)
    return found


def _listed(parts: Iterable[str]) -> str:
    return "; ".join(parts)
