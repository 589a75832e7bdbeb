"""Figures as rows: medians, ratios, Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from benchmarks.process import MIB

HEAD = (
    "row", "ours, median", "peer, median", "ratio", "target", "main scores, max difference",
    "peak memory, ours / peer", "runs",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of the main table.

    Attributes:
        name: what was measured, with whatever the reader must know of it.
        ours, peer: one figure a run.
        unit: "s", "GFLOP/s" ...
        better: whether "less" or "more" of the unit is better; the ratio is above 1 where ours is better,
            except for a "share", which is ours as a part of the peer's.
        target: what the ratio should reach, in words.
        scores, peer_scores: main scores (0 to 1) by "task split/subset".
        memory, peer_memory: peak bytes, one a run.
        notes: lines under the table.
    """

    name: str
    ours: Sequence[float]
    peer: Sequence[float]
    unit: str = "s"
    better: Literal["less", "more", "share"] = "less"
    target: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    peer_scores: Mapping[str, float] = field(default_factory=dict)
    memory: Sequence[int] = ()
    peer_memory: Sequence[int] = ()
    notes: Sequence[str] = ()


def ratio(row: Row) -> float | None:
    """Ratio of the medians; None where a side has no figure."""
    if not row.ours or not row.peer:
        return None
    ours, peer = statistics.median(row.ours), statistics.median(row.peer)
    return peer / ours if row.better == "less" else ours / peer


def apart(ours: Mapping[str, float], peer: Mapping[str, float]) -> float | None:
    """Largest absolute difference of the scores; None where neither side has any.

    Raises:
        ValueError: the two sides did not score the same things.
    """
    if set(ours) != set(peer):
        raise ValueError(f"scored by one side alone: {sorted(set(ours) ^ set(peer))}")
    return max((abs(ours[name] - peer[name]) for name in ours), default=None)


def document(rows: Sequence[Row], title: str, machine: str, extra: Sequence[tuple[str, str]] = ()) -> str:
    """The whole Markdown document: the main table, the scores, notes, then further tables under headings."""
    parts = [f"# {title}", machine, markdown(HEAD, [_cells(row) for row in rows])]
    notes = [f"- {row.name}: {note}" for row in rows for note in row.notes]
    if notes:
        parts.append("\n".join(notes))
    scored = [
        [row.name, name, f"{100 * row.scores[name]:.4f}", f"{100 * row.peer_scores[name]:.4f}"]
        for row in rows
        for name in row.scores
    ]
    if scored:
        parts += ["## Main scores side by side (x100)", markdown(("row", "task", "ours", "peer"), scored)]
    for heading, text in extra:
        parts += [f"## {heading}", text.strip()]
    return "\n\n".join(parts) + "\n"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A GitHub table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def raw(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows with every single figure, JSON-ready."""
    return [
        {**asdict(row), "ratio": ratio(row), "difference": apart(row.scores, row.peer_scores)} for row in rows
    ]


def spread(values: Sequence[float], unit: str) -> str:
    """The median with the smallest and the largest: `8.1 s (7.9 to 8.4)`."""
    if not values:
        return "–"
    middle = f"{number(statistics.median(values))} {unit}"
    return middle if len(values) == 1 else f"{middle} ({number(min(values))} to {number(max(values))})"


def number(value: float) -> str:
    """Three figures, more only where they stand before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def memory(values: Sequence[int]) -> str:
    """The largest of the runs in MiB."""
    return f"{max(values) / MIB:,.0f}" if values else "–"


def _cells(row: Row) -> list[str]:
    found, difference = ratio(row), apart(row.scores, row.peer_scores)
    shown = "–" if found is None else f"{100 * found:.0f} %" if row.better == "share" else f"{found:.2f}x"
    return [
        row.name,
        spread(row.ours, row.unit),
        spread(row.peer, row.unit),
        shown,
        row.target or "–",
        "–" if difference is None else f"{difference:.1e}",
        f"{memory(row.memory)} / {memory(row.peer_memory)} MiB",
        str(len(row.ours)),
    ]
