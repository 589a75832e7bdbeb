"""Plots: geometry, escaping and determinism; the SVG is read back as XML."""

from __future__ import annotations

import math
import random
import sys
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import pytest

from harness.errors import ConfigError, MissingExtraError
from harness.report.plots.axis import linear, logarithmic, short, stride, ticks
from harness.report.plots.charts import Line, Point, lines, pareto, scatter
from harness.report.plots.drawing import WIDTH, Dot, Drawing, Stroke, Words, breadth, cut, to_svg, wrapped
from harness.report.plots.png import check_png, to_png
from harness.report.plots.rows import Pair, dumbbell

NASTY = "<b>&\"'</title> 长文检索 \x00\x1b"
NAMES = [
    "SciFact", "NarrativeQARetrieval", "BigPatentClustering.v2 and a tail that is too long for any column",
    NASTY, "AmazonCounterfactualClassification", "T2Reranking", "x", "MultilingualSentiment",
]  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


def sweep(n: int = 8) -> Drawing:
    lengths = [128, 256, 500, 512, 2048, 8192]
    made = [Line(NAMES[i % 8], [(x, 40 + 3 * i + x**0.3) for x in lengths]) for i in range(n)]
    return lines("Length " * 20 + NASTY, made, x_label="max length (tokens)", y_label="main score " * 12)


def models(n: int = 60) -> Drawing:
    draw = random.Random(5)
    points = [Point(f"org/{NAMES[i % 8]}-{i}", draw.choice([2e7, 1e8, 3.3e8, 7e9]), i % 9) for i in range(n)]
    return scatter("Score against size", points, x_label="parameters", y_label="mean")


def pairs(n: int = 60) -> Drawing:
    draw = random.Random(5)
    rows = [Pair(f"{NAMES[i % 8]}", draw.random(), draw.random() if i % 7 else None) for i in range(n)]
    return dumbbell("Two models", rows, (NAMES[1] * 5, NASTY), x_label="score x 100", decimals=3)


ALL = [
    sweep(), sweep(1), sweep(40), models(), models(1), models(7), pairs(), pairs(2),
    lines("t", [Line("a", [(5, 5)])], x_label="x", y_label="y"),
    lines("t", [Line("a", [(0, -1e-7), (1, 1e6)])], x_label="x", y_label="y", log=False),
    dumbbell("t", [Pair("a", 3, 3)], ("one", "two"), x_label="x"),
]  # fmt: skip


@pytest.mark.parametrize("drawing", ALL)
def test_everything_is_inside_and_no_words_overlap(drawing: Drawing) -> None:
    words = [mark for mark in drawing.marks if isinstance(mark, Words)]
    assert words
    for word in words:
        left, top, right, bottom = word.box
        assert left >= 0, word
        assert right <= WIDTH, word
        assert top >= 0, word
        assert bottom <= drawing.height, word
    for one, other in combinations(words, 2):
        (a, b, c, d), (p, q, r, s) = one.box, other.box
        assert c <= p or r <= a or d <= q or s <= b, (one, other)
    for mark in drawing.marks:
        if isinstance(mark, Dot):
            assert mark.radius <= mark.x <= WIDTH - mark.radius
            assert mark.radius <= mark.y <= drawing.height - mark.radius
        elif isinstance(mark, Stroke):
            assert all(0 <= x <= WIDTH and 0 <= y <= drawing.height for x, y in mark.points)


@pytest.mark.parametrize("drawing", ALL)
def test_the_svg_is_well_formed_self_contained_and_named(drawing: Drawing) -> None:
    text = to_svg(drawing)
    assert text == to_svg(drawing)
    root = ET.fromstring(text)
    assert root.attrib["role"] == "img"
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert desc is not None
    assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {desc.attrib['id']}"
    assert title.text == drawing.title.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    assert desc.text
    for forbidden in ("<script", "href", "url(", "@import", "nan", "inf ", "-0 ", "<b>"):
        assert forbidden not in text
    numbers = [
        float(value)
        for element in root.iter()
        for name, values in element.attrib.items()
        if name in ("x", "y", "cx", "cy", "r", "points", "width", "height") and values != "100%"
        for value in values.replace(",", " ").split()
    ]
    assert numbers
    assert all(math.isfinite(value) for value in numbers)


def test_the_same_names_in_another_process_give_the_same_text() -> None:
    assert to_svg(sweep()) == to_svg(sweep())
    assert to_svg(sweep()) != to_svg(sweep(7))


def test_lines_place_values_in_order_and_leave_gaps() -> None:
    data = [Line("a", [(512, 3.0), (128, 1.0), (256, None), (1024, 2.0)])]
    drawing = lines("t", data, x_label="length", y_label="score", decimals=1)
    dots = [mark for mark in drawing.marks if isinstance(mark, Dot) and "length" in mark.tip]
    assert [dot.tip for dot in dots] == [
        f"a, length {x}: {y}" for x, y in ((128, 1.0), (512, 3.0), (1024, 2.0))
    ]
    assert dots[0].x < dots[1].x < dots[2].x
    assert dots[1].y < dots[2].y < dots[0].y
    assert dots[2].x - dots[1].x == pytest.approx((dots[1].x - dots[0].x) / 2)
    joined = [mark for mark in drawing.marks if isinstance(mark, Stroke) and mark.width == 2]
    ends = [mark.points for mark in joined if mark.points[1][0] > 50]  # without the legend's
    assert ends == [((dots[1].x, dots[1].y), (dots[2].x, dots[2].y))]
    assert drawing.description == "score by length. a: 512 3.0, 128 1.0, 256 none, 1024 2.0"
    shown = [mark.text for mark in drawing.marks if isinstance(mark, Words)]
    assert {"128", "256", "512", "1024"} <= set(shown)


def test_the_front_is_what_nothing_smaller_beats() -> None:
    points = [
        Point(*p) for p in (("a", 1, 5), ("b", 2, 4), ("c", 2, 7), ("d", 3, 7), ("e", 9, 8), ("f", 1, 5))
    ]
    assert [p.name for p in pareto(points)] == ["a", "c", "e"]
    by_hand = [
        p for p in points
        if not any((q.x <= p.x and q.y > p.y) or (q.x < p.x and q.y >= p.y) for q in points)
    ]  # fmt: skip
    assert {p.name for p in by_hand} == {"a", "c", "e", "f"}  # equal twins: one stands for both
    drawing = scatter("t", points, x_label="size", y_label="score")
    filled = {m.tip.split(":")[0] for m in drawing.marks if isinstance(m, Dot) and not m.hollow}
    assert filled == {"a", "c", "e"}
    (steps,) = [m for m in drawing.marks if isinstance(m, Stroke) and m.dash]
    assert all(x <= x2 and y >= y2 for (x, y), (x2, y2) in pairwise(steps.points))


def test_every_point_of_a_crowd_is_named_once() -> None:
    points = [Point(f"model-{i}", 1e8, 50.0) for i in range(30)]
    drawing = scatter("t", points, x_label="size", y_label="score")
    shown = " ".join(f"{m.text} " for m in drawing.marks if isinstance(m, Words))
    for point in points:
        assert shown.count(f"{point.name} ") == 1, point


def test_names_stand_beside_their_points_or_in_the_list_below_them() -> None:
    drawing = models(25)
    spots = [(m.x, m.y) for m in drawing.marks if isinstance(m, Dot)]
    floor = max(y for _, y in spots)
    names = {cut(f"org/{NAMES[i % 8]}-{i}", 1e9) for i in range(25)}
    beside = [m for m in drawing.marks if isinstance(m, Words) and m.text in names and m.y < floor]
    assert beside
    for words in beside:
        left, top, right, bottom = words.box
        near = [(max(left - x, x - right, 0), max(top - y, y - bottom, 0)) for x, y in spots]
        assert min(across + down for across, down in near) < 12, words


def test_a_dumbbell_tells_its_numbers() -> None:
    rows = [Pair("up", 1.0, 2.5), Pair("down", 2.0, 1.0), Pair("gone", None, 2.0)]
    drawing = dumbbell("t", rows, ("old", "new"), x_label="score")
    shown = [m.text for m in drawing.marks if isinstance(m, Words)]
    assert [text for text in shown if text[0] in "+-" or text == "none"] == ["+1.50", "-1.00", "none"]
    ends = {m.tip: m.x for m in drawing.marks if isinstance(m, Dot) and ": " in m.tip}
    assert ends["up, old: 1.00"] < ends["up, new: 2.50"]
    assert ends["up, old: 1.00"] == ends["down, new: 1.00"]
    assert "gone: none and 2.00" in drawing.description


def test_a_legend_has_whole_names_since_their_ends_tell_variants_apart() -> None:
    names = tuple(f"A: org/{'long-name-' * 8}@0123456789ab+bf16+len{n}" for n in (128, 512))
    drawing = dumbbell("t", [Pair("a", 1, 2)], (names[0], names[1]), x_label="x")
    shown = "".join(mark.text for mark in drawing.marks if isinstance(mark, Words))
    assert all(name.replace(" ", "") in shown.replace(" ", "") for name in names)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    for draw in (
        lambda: lines("t", [Line("a", [(1, value)])], x_label="x", y_label="y"),
        lambda: scatter("t", [Point("a", 1, value)], x_label="x", y_label="y"),
        lambda: dumbbell("t", [Pair("a", 1, value)], ("a", "b"), x_label="x"),
    ):
        with pytest.raises(ConfigError, match="finite"):
            draw()


def test_nothing_to_draw_and_a_size_of_zero_are_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to draw"):
        lines("t", [Line("a", [(1, None)])], x_label="x", y_label="y")
    with pytest.raises(ConfigError, match="nothing to draw"):
        dumbbell("t", [], ("a", "b"), x_label="x")
    for x in (0.0, -1.0):
        with pytest.raises(ConfigError, match="above 0"):
            scatter("t", [Point("a", x, 1)], x_label="size", y_label="y")
        with pytest.raises(ConfigError, match="above 0"):
            lines("t", [Line("a", [(x, 1)])], x_label="size", y_label="y")


def test_ticks_are_round_few_and_cover_the_values() -> None:
    draw = random.Random(1)
    for _ in range(500):
        scale = 10 ** draw.uniform(-4, 5)
        values = [draw.uniform(-1, 1) * scale for _ in range(draw.randint(1, 5))]
        axis = linear(values, 300, 20)
        marked, decimals = ticks(axis)
        assert axis.low <= min(values) + 1e-9 * scale
        assert axis.high >= max(values) - 1e-9 * scale
        assert 2 <= len(marked) <= 8
        assert marked[0] == pytest.approx(axis.low, abs=1e-9)
        assert marked[-1] == pytest.approx(axis.high, abs=1e-6 * scale)
        texts = [f"{value:.{decimals}f}" for value in marked]
        assert len(set(texts)) == len(texts)
        assert all(
            float(text) == pytest.approx(value, abs=1e-9) for text, value in zip(texts, marked, strict=True)
        )
    assert stride(0, 60) == 10
    assert ticks(logarithmic([2e7, 7e9], 0, 1))[0] == [2e7, 5e7, 1e8, 2e8, 5e8, 1e9, 2e9, 5e9]
    assert [short(v, 0) for v in (128, 8192, 32768, 22e6, 1.5e9)] == ["128", "8192", "32.8K", "22M", "1.5B"]


def test_text_is_cut_and_wrapped_to_its_room() -> None:
    long = "Amazon 长文检索 counterfactual" * 3
    assert breadth(cut(long, 100)) <= 100
    assert cut(long, 100).endswith("…")
    assert cut("short", 100) == "short"
    assert all(breadth(line) <= 90 for line in wrapped(long, 90))
    assert "".join(wrapped(long, 90)).replace(" ", "") == long.replace(" ", "")
    name = "organization/model-large@0123456789ab"  # is broken after a sign, where it can be
    assert wrapped(f"B: {name}", breadth(name) - 1) == ["B: organization/model-large@", "0123456789ab"]


def test_png_without_matplotlib_says_what_to_install(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'harness\[plots\]'\n.*FILE\.svg"):
        check_png()
    with pytest.raises(MissingExtraError):
        to_png(sweep(), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("drawing", [sweep(), models(), pairs()])
def test_png_has_the_drawings_proportions(tmp_path, drawing) -> None:
    pytest.importorskip("matplotlib", reason="no matplotlib: pip install 'harness[plots]'")
    to_png(drawing, tmp_path / "a.png")
    head = (tmp_path / "a.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    assert height / width == pytest.approx(drawing.height / WIDTH, rel=0.01)
