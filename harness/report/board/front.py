"""A leaderboard as a plot: its mean against the models' sizes, and the models that nothing smaller beats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.errors import ConfigError
from harness.report.board.cells import FACTS
from harness.report.markdown import plain
from harness.report.plots.charts import Point, scatter
from harness.report.plots.drawing import Drawing

if TYPE_CHECKING:
    from harness.report.board.leaderboard import Leaderboard

SIZE = FACTS["n_parameters"]


def front(board: Leaderboard) -> Drawing:
    """The suite's own mean (points) of each row that has one, by parameters on a logarithmic axis.

    Raises:
        ConfigError: no row has both.
    """
    mean = board.scores[0]
    sizes = board.columns.get(SIZE, [None] * len(board.labels))
    points = [
        Point(plain(label), size, score)
        for label, size, score in zip(board.labels, sizes, board.columns[mean], strict=True)
        if size is not None and score is not None and math.isfinite(score)
    ]
    if not points:
        raise ConfigError(f"{board.suite.name}: no row has both a mean and a number of parameters to draw")
    better = "lower" if mean in board.lower else "higher"
    return scatter(
        board.suite.title,
        points,
        x_label=SIZE,
        y_label=f"{mean}, {better} is better",
        front=better == "higher",
    )
