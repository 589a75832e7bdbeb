"""A gate's answer for people and machines: table, Markdown summary, JSON, JUnit XML, CI annotations."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.report.gate.decide import Gate
from harness.report.gate.verdict import Check
from harness.report.markdown import escape, table

WORST = 10  # examples of a regressed task that are shown
SUMMARY = 60_000  # bytes of the parts of a summary; GitHub takes 65,536 characters of a comment
_LINE = 600  # characters of a line
_TEXT = 300  # of an example
_SIGNS = {
    "same": "=",
    "pass": "✓",
    "noise": "✓ noise",
    "regressed": "✗ worse",
    "below floor": "✗ floor",
    "not improved": "✗ no gain",
    "changed": "✗ changed",
}

_LEGEND = (
    "Suite {suite}. A drop fails when it exceeds what is allowed and its one-sided p-value, corrected by "
    "Holm over {tested} checks, is below {level:g}. `detectable`: the drop that a check finds four times in "
    "five (none: no drop at all, of so few examples)."
)

_EXACT = "Suite {suite}. Any metric of a task that moves by more than {exact:g} points fails, up or down."

Texts = Callable[[Check, str, str, Sequence[str]], Mapping[str, str]]


def headline(gate: Gate) -> str:
    """The answer in one line."""
    if gate.invalid:
        return f"not comparable: {gate.new} against {gate.old}"
    if gate.failed:
        return f"failed: {len(gate.failed)} of {len(gate.checks)} checks, {gate.new} against {gate.old}"
    return f"passed: {len(gate.checks)} checks, {gate.new} against {gate.old}"


def rows(gate: Gate) -> list[list[str]]:
    """One row a check, the worst first; columns as in `HEADER`."""
    return [
        [
            check.title,
            check.metric,
            f"{check.old:.2f}",
            f"{check.new:.2f}",
            f"{check.gain:+.2f}",
            "—" if check.interval is None else _range(check.interval),
            "—" if check.p is None else "<0.001" if check.p < 0.001 else f"{check.p:.3f}",
            detectable(check.detectable),
            _SIGNS[check.verdict],
        ]
        for check in _ordered(gate)
    ]


HEADER = ("task", "metric", "baseline", "model", "gain", "95 % interval", "p (Holm)", "detectable", "verdict")


def notes(gate: Gate) -> list[str]:
    """What a reader must know beside the table, a line each."""
    out = [f"{c.title}: {c.reason}" for c in gate.failed]
    if gate.untested:
        out.append(f"tolerance alone (no per-example values): {', '.join(gate.untested)}")
    if gate.absent:
        out.append(f"not gated, since results are missing: {', '.join(gate.absent)}")
    blind = [c.title for c in gate.checks if c.detectable is not None and math.isinf(c.detectable)]
    if blind and not gate.invalid:
        out.append(f"too few examples to find any drop: {', '.join(blind)}")
    single = [c.title for c in gate.checks if c.level == "task" and c.rule.weight and _unknown(c)]
    if single and not gate.invalid and any(_unknown(c) for c in gate.checks if c.level != "task"):
        out.append(
            f"how far {', '.join(single)} may vary is not known, so no mean that it counts in can be tested: "
            "weight: 0 leaves a task out of the means"
        )
    out += [f"differs: {line}" for line in gate.environment]
    out += [f"accepted difference: {line}" for line in gate.accepted]
    return out


def to_markdown(gate: Gate, texts: Texts | None = None) -> str:
    """A summary fit for a pull request or `$GITHUB_STEP_SUMMARY`: the answer, reasons, the table, examples.

    It stays below what GitHub takes of a comment; what does not fit is counted, the best first.

    Args:
        texts: gives the texts of examples (check, split, subset, ids); None shows ids alone.
    """
    lines = [f"## Gate {escape(_cut(headline(gate)))}", ""]
    left_out = []

    def add(blocks: Iterable[str], count: int, share: float, what: str) -> None:
        taken = list(_fitting(blocks, int(share * SUMMARY)))
        lines.extend(taken)
        if len(taken) < count:
            left_out.append(f"{count - len(taken)} of {count} {what}")

    def listed(said: Sequence[str], share: float, what: str) -> None:
        add((f"- {escape(_cut(line))}" for line in said), len(said), share, what)

    if gate.invalid:
        lines += ["The comparison is not valid, so there is no verdict:", ""]
        listed(gate.invalid, 0.5, "reasons")
        lines += ["", *(f"{escape(_cut(line))}\n" for line in gate.advice)]
    if gate.checks and not gate.invalid:
        body = [[escape(cell) for cell in row] for row in rows(gate)]
        head, rule, *each = table(list(HEADER), body, left=(0, 1, 8)).splitlines()
        lines += [head, rule]
        add(each, len(each), 0.4, "checks")
        tested = sum(check.p is not None for check in gate.checks)
        legend = _LEGEND if gate.exact is None else _EXACT
        named = {"suite": escape(gate.suite), "tested": tested, "level": gate.level, "exact": gate.exact}
        lines += ["", legend.format(**named), ""]
    said, failed = notes(gate), len(gate.failed)
    listed(said[:failed], 0.15, "reasons")
    listed(said[failed:], 0.15, "notes")
    shown = [check for check in gate.failed if lost_most(check)]
    blocks = ("\n".join(_examples(check, texts)) for check in shown)
    used = sum(len(line.encode()) + 1 for line in lines)
    add(blocks, len(shown), 1 - used / SUMMARY, "lists of examples")
    if left_out:
        lines += ["", f"Left out, so that a comment holds the rest: {', '.join(left_out)}. --json has all."]
    return "\n".join(lines).rstrip() + "\n"


def _fitting(blocks: Iterable[str], room: int) -> Iterator[str]:
    """Blocks from the first one on, for as long as their bytes fit."""
    for block in blocks:
        room -= len(block.encode()) + 1
        if room < 0:
            return
        yield block


def _cut(text: str, most: int = _LINE) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def to_json(gate: Gate) -> dict[str, Any]:
    """Everything, JSON-ready."""
    return {
        "suite": gate.suite,
        "baseline": gate.old,
        "model": gate.new,
        "level": gate.level,
        "exact": gate.exact,
        "answer": "not comparable" if gate.invalid else "failed" if gate.failed else "passed",
        "exit_code": gate.exit_code,
        "invalid": list(gate.invalid),
        "advice": list(gate.advice),
        "environment": list(gate.environment),
        "accepted": list(gate.accepted),
        "tolerance_alone": list(gate.untested),
        "absent": list(gate.absent),
        "checks": [
            {
                "level": c.level,
                "name": c.name,
                "metric": c.metric,
                "baseline": c.old,
                "model": c.new,
                "gain": c.gain,
                "allowed_drop": c.allowed,
                "floor": c.rule.floor,
                "must_improve": c.rule.must_improve,
                "p_holm": c.p,
                "p_rise_holm": c.p_rise,
                "interval": None if c.interval is None else [_finite(v) for v in c.interval],
                "detectable": _finite(c.detectable),
                "test": c.test,
                "verdict": c.verdict,
                "reason": c.reason,
                "lost_most": [
                    {"split": split, "subset": subset, "id": name, "baseline": before, "model": after}
                    for split, subset, name, before, after in lost_most(c)
                ],
            }
            for c in _ordered(gate)
        ],
    }


def lost_most(check: Check) -> list[tuple[str, str, str, float, float]]:
    """Of a failed check the examples that lost most: split, subset, id, their share before and after."""
    if not check.bad or check.entries is None:
        return []
    found = []
    for (split, subset), part in check.entries.items():
        if part.own is not None:
            old, new = part.own
            found += [
                (split, subset, name, float(before), float(after))
                for name, before, after in zip(part.ids, old, new, strict=True)
                if before > after
            ]
    return sorted(found, key=lambda row: (row[4] - row[3], row[:3]))[:WORST]


def _examples(check: Check, texts: Texts | None) -> list[str]:
    worst = lost_most(check)
    if not worst:
        return []
    # Within HTML no Markdown is read: a backslash would be seen.
    lines = ["", f"<details><summary>{html.escape(check.title)}: the examples that lost most</summary>", ""]
    shown: dict[tuple[str, str], Mapping[str, str]] = {}
    if texts is not None:
        for split, subset in dict.fromkeys(row[:2] for row in worst):
            ids = [row[2] for row in worst if row[:2] == (split, subset)]
            shown[split, subset] = texts(check, split, subset, ids)
    cells = [
        [
            escape(name if len(check.entries or ()) < 2 else f"{split}/{subset} {name}"),
            f"{before:.4f}",
            f"{after:.4f}",
            *([escape(_cut(shown[split, subset].get(name, "—"), _TEXT))] if texts is not None else []),
        ]
        for split, subset, name, before, after in worst
    ]
    header = ["example", "baseline", "model", *(["text"] if texts is not None else [])]
    return [*lines, table(header, cells, left=(0, 3)), "</details>"]


def _ordered(gate: Gate) -> list[Check]:
    return sorted(gate.checks, key=lambda c: (not c.bad, c.gain, c.name))


def detectable(drop: float | None) -> str:
    """None: both sides answered alike, or there is nothing to test; "none": no drop would be found."""
    return "—" if drop is None else "none" if math.isinf(drop) else f"{drop:.2f}"


def _unknown(check: Check) -> bool:
    """Whether its spread is: of a single example, or resamples that give no value."""
    return check.interval is not None and math.isinf(check.interval[0])


def _range(interval: tuple[float, float]) -> str:
    low, high = interval
    return "—" if math.isinf(low) else f"{low:+.2f} to {high:+.2f}"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
