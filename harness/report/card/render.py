"""The YAML text of a model-index: every scalar is written so that every reader takes it for what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# what a YAML 1.1 or 1.2 reader may take for something other than a string
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"}
PLAIN = re.compile(r"[A-Za-z0-9_](?:[\w./()@+ -]*[\w./()@+-])?", re.ASCII)
NUMBER = re.compile(r"[0-9_]+(?:\.[0-9_]*)?(?:e[-+]?[0-9_]+)?|0x[0-9a-f_]+|0o[0-7_]+|0b[01_]+|[0-9-]+", re.I)
DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}.*")


@dataclass(frozen=True)
class Layout:
    """Where the lines of a list of results begin, in columns, and how lines end.

    Attributes:
        dash: column of the list's dashes.
        gap: from a dash to its first key.
        metrics: from the key `metrics` to the dashes below it.
        step: from a key to the keys below it.
    """

    dash: int = 2
    gap: int = 2
    metrics: int = 0
    step: int = 2
    newline: str = "\n"


def model_index_text(name: str, groups: Sequence[Mapping[str, Any]], newline: str = "\n") -> str:
    """A whole `model-index:` block of one entry."""
    head = f"model-index:\n- name: {scalar(name)}\n  results:\n".replace("\n", newline)
    return head + "".join(group_text(group, Layout(newline=newline)) for group in groups)


def group_text(group: Mapping[str, Any], layout: Layout) -> str:
    """One result as a list item."""
    indent = " " * (layout.dash + layout.gap)
    lines: list[str] = []
    for key, fields in group.items():
        lines.append(f"{indent}{key}:")
        if isinstance(fields, list):
            column = layout.dash + layout.gap + layout.metrics
            lines += [line for item in fields for line in _item_lines(item, column, 2)]
        else:
            inner = indent + " " * layout.step
            lines += [f"{inner}{k}: {scalar(v)}" for k, v in fields.items()]
    lines[0] = " " * layout.dash + "-" + lines[0][layout.dash + 1 :]
    return "".join(line + layout.newline for line in lines)


def metric_text(metric: Mapping[str, Any], column: int, gap: int, newline: str) -> str:
    """One metric as a list item with its dash in this column."""
    return "".join(line + newline for line in _item_lines(metric, column, gap))


def _item_lines(item: Mapping[str, Any], column: int, gap: int) -> list[str]:
    starts = [" " * column + "-" + " " * (gap - 1)] + [" " * (column + gap)] * (len(item) - 1)
    return [f"{start}{k}: {scalar(v)}" for start, (k, v) in zip(starts, item.items(), strict=True)]


def scalar(value: str | float) -> str:
    """A YAML scalar; floats in full, strings quoted where a reader could take them for something else."""
    if isinstance(value, float):
        text = repr(value)
        # 1e-05 is a string to YAML 1.1
        return text if "e" not in text or "." in text else text.replace("e", ".0e")
    special = value.lower() in WORDS or NUMBER.fullmatch(value) or DATE.fullmatch(value)
    if PLAIN.fullmatch(value) and not special:
        return value
    escaped = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped)
