"""A comparison for people and machines: Markdown and JSON; the page is made by `compare_page`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from harness.report.compare.pairs import Comparison, Duel, Match, Winner
from harness.report.markdown import escape, table
from harness.report.values import lower_is_better

LEGEND = (
    "Scores and differences in points. p is two-sided, by the paired test on per-example values, corrected "
    "by Holm over the tasks that two models were tested on; a difference counts as one where it is below "
    "{level:g}. Intervals are at 95 %, of one difference each, uncorrected. The p of a mean stands alone."
)
NAMED = 3  # tasks that a line names
HEADER = ("task", "metric", "{a}", "{b}", "{b} − {a}", "95 % interval", "p (Holm)", "better")


def letter(i: int) -> str:
    """What model i is called in tables: A to Z, then A1 ..."""
    return chr(65 + i % 26) + (str(i // 26) if i >= 26 else "")


def headline(found: Comparison, match: Match) -> str:
    """Who is ahead on average, in one line."""
    if match.mean is None:
        return "nothing can be compared"
    mean = match.mean
    if mean.sign == "tie":
        return f"equal on average over {_tasks(len(match.duels))}"
    ahead = found.models[match.second if mean.sign == "second" else match.first]
    sure = {
        "untested": "untested, since per-example values are missing",
        "tie": f"within noise, {_said(mean.p)}",
    }.get(mean.won, _said(mean.p))
    return (
        f"{ahead} is ahead by {abs(mean.difference):.2f} on average over {_tasks(len(match.duels))}; {sure}"
    )


def counts(found: Comparison, match: Match) -> list[str]:
    """Wins, losses and ties in words, tasks named: by significance, then by sign."""
    out = []
    for by_sign in (False, True):
        parts = [
            f"{words} {len(names)}{' (' + ', '.join(names) + ')' if names else ''}"
            for won, words in _outcomes(match)
            if (names := match.tasks(won, by_sign=by_sign)) or won != "untested"
        ]
        out.append(f"{'by sign' if by_sign else 'by significance'}: {'; '.join(parts)}")
    return out


def rows(match: Match) -> list[list[str]]:
    """One row a task, in the suite's order, then the means; columns as in `HEADER`."""
    means = [*match.columns, *([match.mean] if match.mean else [])]
    return [_row(match, duel) for duel in (*match.duels, *means)]


def header(match: Match) -> list[str]:
    """The head of `rows`."""
    return [cell.format(a=letter(match.first), b=letter(match.second)) for cell in HEADER]


def notes(match: Match) -> tuple[list[str], list[str]]:
    """What differs beside the models, and which tasks are not compared and why, a line each."""
    apart = []
    for text, names in match.environment:
        where = ", ".join(names) if len(names) <= NAMED else _tasks(len(names))
        apart.append(text if len(names) == len(match.duels) else f"{text} (in {where})")
    return apart, [f"{name}: {why}" for name, why in match.barred.items()]


def environment(found: Comparison) -> list[str]:
    """What differs beside the models in any pair, a line each, with the pairs."""
    pairs: dict[str, list[str]] = {}
    for match in found.matches:
        for line in notes(match)[0]:
            pairs.setdefault(line, []).append(f"{letter(match.first)} and {letter(match.second)}")
    return [f"{line} ({'; '.join(named)})" for line, named in pairs.items()]


def matrix(found: Comparison) -> list[list[str]]:
    """Row model minus column model: mean difference; the row's wins, ties and losses by significance."""
    cells = [["" for _ in found.models] for _ in found.models]
    for match in found.matches:
        if match.mean is None:
            cells[match.first][match.second] = cells[match.second][match.first] = "—"
            continue
        won: dict[str, int] = {w: len(match.tasks(w)) for w, _ in _outcomes(match)}
        untested = f", {won['untested']} untested" if won["untested"] else ""
        tested = won["untested"] < len(match.duels)
        for i, j, sign, wins, losses in (
            (match.first, match.second, -1, "first", "second"),
            (match.second, match.first, 1, "second", "first"),
        ):
            score = f"{won[wins]} / {won['tie']} / {won[losses]}{untested}" if tested else "untested"
            cells[i][j] = f"{_signed(sign * match.mean.difference)} ({score})"
    return [[letter(i), *row] for i, row in enumerate(cells)]


def score_rows(found: Comparison) -> list[list[str]]:
    """Every task's score of every model, then the mean over tasks that all have; — where there is none."""
    out = [[name, *map(_score, row)] for name, row in found.scores.items()]
    full = sum(None not in row for row in found.scores.values())
    return [*out, [f"mean over {_tasks(full)}", *map(_score, found.means)]] if full else out


def to_markdown(found: Comparison) -> str:
    """Models, what differs, wins and losses, then the tables."""
    lines = [f"## {escape(found.title)}", ""]
    lines += [f"- {letter(i)}: {escape(model)}" for i, model in enumerate(found.models)] + [""]
    if found.absent:
        lines += [f"Tasks without a result of any of them: {escape(', '.join(found.absent))}", ""]
    if len(found.models) > 2:
        lines += _bullets("What differs beside the models:", environment(found))
        names = [letter(i) for i in range(len(found.models))]
        cells = [[escape(cell) for cell in row] for row in score_rows(found)]
        lines += [
            table(["task", *names], cells),
            "Row minus column: mean difference (wins / ties / losses).",
            "",
        ]
        lines += [table(["", *names], matrix(found))]
    for match in found.matches:
        if len(found.models) > 2:
            lines += [f"### {letter(match.second)} against {letter(match.first)}", ""]
        lines += _section(found, match)
    return "\n".join([*lines, LEGEND.format(level=found.level)]) + "\n"


def to_json(found: Comparison) -> dict[str, Any]:
    """Everything, JSON-ready."""
    return {
        "title": found.title,
        "models": list(found.models),
        "level": found.level,
        "absent": list(found.absent),
        "scores": {name: list(row) for name, row in found.scores.items()},
        "means": list(found.means),
        "matches": [
            {
                "first": found.models[match.first],
                "second": found.models[match.second],
                "environment": [{"text": text, "tasks": list(names)} for text, names in match.environment],
                "not_comparable": dict(match.barred),
                "tasks": [_json(duel) for duel in match.duels],
                "columns": [_json(duel) for duel in match.columns],
                "mean": None if match.mean is None else _json(match.mean),
                "by_significance": {won: match.tasks(won) for won, _ in _outcomes(match)},
                "by_sign": {won: match.tasks(won, by_sign=True) for won in ("first", "second", "tie")},
            }
            for match in found.matches
        ],
    }


def _section(found: Comparison, match: Match) -> list[str]:
    apart, barred = notes(match)
    lines = _bullets("What differs beside the models:", apart)
    lines += _bullets("Not compared, and in no mean:", barred)
    lines += [f"**{escape(headline(found, match))}**", ""]
    if match.duels:
        lines += [*(f"- {escape(line)}" for line in counts(found, match)), ""]
        cells = [[*map(escape, row[:2]), *row[2:]] for row in rows(match)]  # p is <0.001, no markup
        lines += [table(header(match), cells, left=(0, 1, 7))]
    return lines


def _bullets(head: str, points: Sequence[str]) -> list[str]:
    return [head, "", *(f"- {escape(line)}" for line in points), ""] if points else []


def _row(match: Match, duel: Duel) -> list[str]:
    mean = duel.metric == "mean"
    name = duel.task if not mean or duel is match.mean else f"mean of {duel.task}"
    metric = "" if mean else duel.metric + (" ↓" if lower_is_better(duel.metric) else "")
    p = duel.p if mean else duel.p_holm
    return [
        name, metric, _score(duel.first), _score(duel.second), _signed(duel.difference),
        "—" if duel.interval is None else f"{duel.interval[0]:+.2f} to {duel.interval[1]:+.2f}",
        _p(p) + (" (alone)" if mean and p is not None else ""), _won(match, duel),
    ]  # fmt: skip


def _won(match: Match, duel: Duel) -> str:
    who = {"first": letter(match.first), "second": letter(match.second), "tie": "tie"}
    return who.get(duel.won, f"{who[duel.sign]}, untested" if duel.sign != "tie" else "equal")


def _outcomes(match: Match) -> Sequence[tuple[Winner, str]]:
    return (
        ("second", f"{letter(match.second)} better on"),
        ("first", f"{letter(match.first)} better on"),
        ("tie", "tie on"),
        ("untested", "not tested on"),
    )


def _json(duel: Duel) -> dict[str, Any]:
    own = {field.name: getattr(duel, field.name) for field in fields(duel) if field.name != "whole"}
    own["interval"] = None if duel.interval is None else list(duel.interval)
    return own | {"difference": duel.difference, "sign": duel.sign}


def _tasks(n: int) -> str:
    return f"{n} task{'' if n == 1 else 's'}"


def _score(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}"


def _signed(value: float) -> str:
    return f"{value:+.2f}"


def _p(value: float | None) -> str:
    if value is None:
        return "—"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _said(value: float | None) -> str:
    return "p below 0.001" if value is not None and value < 0.001 else f"p = {_p(value)}"
