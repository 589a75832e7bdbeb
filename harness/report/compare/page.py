"""A comparison as one HTML file: nothing is loaded from anywhere, no script, readable on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.report.compare import render as words
from harness.report.compare.pairs import Comparison, Duel, Match
from harness.report.plots.drawing import Drawing, to_svg
from harness.report.plots.rows import Pair, dumbbell


def to_html(found: Comparison) -> str:
    """The page: models, what differs, wins and losses, a dumbbell plot and the table of every pair."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("harness.report.compare"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    several = len(found.models) > 2
    text = environment.get_template("compare.html.j2").render(
        title=found.title,
        models=[{"letter": words.letter(i), "name": name} for i, name in enumerate(found.models)],
        absent=found.absent,
        environment=words.environment(found) if several else [],
        scores=words.score_rows(found) if several else [],
        matrix=words.matrix(found) if several else [],
        matches=[_match(found, match) for match in found.matches],
        legend=words.LEGEND.format(level=found.level),
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # a file name may hold what no text may


def _match(found: Comparison, match: Match) -> dict[str, Any]:
    from markupsafe import Markup

    apart, barred = words.notes(match)
    return {
        "first": words.letter(match.first),
        "second": words.letter(match.second),
        "headline": words.headline(found, match),
        "apart": apart,
        "barred": barred,
        "counts": words.counts(found, match) if match.duels else [],
        "header": words.header(match),
        "rows": words.rows(match),
        "plots": [Markup(to_svg(drawn)) for drawn in drawings(found, match)],  # noqa: S704 - escapes its text
    }


def drawings(found: Comparison, match: Match) -> list[Drawing]:
    """The scores joined task by task; those of which less is better stand in a plot of their own."""
    return [
        _drawing(found, match, duels)
        for lower in (False, True)
        if (duels := [duel for duel in match.duels if (duel.better < 0) == lower])
    ]


def _drawing(found: Comparison, match: Match, duels: Sequence[Duel]) -> Drawing:
    names = [f"{words.letter(i)}: {found.models[i]}" for i in (match.first, match.second)]
    rows = [Pair(duel.task, duel.first, duel.second) for duel in duels]
    metrics = {duel.metric for duel in duels}
    what = metrics.pop() if len(metrics) == 1 else "score"
    label = f"{what}, points; {'lower' if duels[0].better < 0 else 'higher'} is better"
    title = f"{words.letter(match.first)} and {words.letter(match.second)}, task by task"
    return dumbbell(title, rows, (names[0], names[1]), x_label=label)
