"""Drawings as data: lines, dots and words on a plane, and what they look like as SVG.

Plain SVG without scripts, fonts or anything else from outside. Text and rules take the page's colour
(`currentColor`), series take CSS variables (`--plot-0` ...) that a page may set; without it they follow the
reader's light or dark scheme.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 440.0  # of every drawing, in units that are near a phone's pixels
FONT, SMALL = 13.0, 11.5
LIGHT = ("#1f6fb4", "#c2410c", "#2a7d3f", "#7a3e9d", "#8a6a00", "#00758f")
DARK = ("#6cb2f0", "#f59a6b", "#6fc98a", "#c39be0", "#d9b64a", "#5cc3d9")
DASHES = ("", "6 3", "2 3", "8 3 2 3")
INK, FAINT = "ink", "faint"  # the page's text, and the same hardly seen; series are "0" to "5"

_SIGN = re.compile(r"(?<=[/_@+-])")  # where a long name may go on below
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# An average letter is narrower; names of tasks and models are rich in capitals.
_LETTER, _BOLD = 0.6, 1.07


@dataclass(frozen=True)
class Stroke:
    """A line through points."""

    points: tuple[tuple[float, float], ...]
    colour: str
    width: float = 1.0
    dash: str = ""


@dataclass(frozen=True)
class Dot:
    """A circle, hollow or filled; `tip` is told by pointing at it and by screen readers."""

    x: float
    y: float
    colour: str
    tip: str
    radius: float = 4.0
    hollow: bool = False


@dataclass(frozen=True)
class Words:
    """One line of text; `y` is its baseline, `anchor` "start", "middle" or "end"; `full` if it was cut."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    size: float = FONT
    bold: bool = False
    full: str = ""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom, by estimated widths."""
        width = breadth(self.text, self.size, self.bold)
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return left, self.y - 0.8 * self.size, left + width, self.y + 0.25 * self.size


Mark = Stroke | Dot | Words


@dataclass(frozen=True)
class Drawing:
    """Marks on a plane of `WIDTH` x `height`; title and description are for those who cannot see it."""

    height: float
    title: str
    description: str
    marks: tuple[Mark, ...]


def to_svg(drawing: Drawing) -> str:
    """A self-contained SVG element, the same text for the same drawing."""
    content = "\n".join(map(_svg, drawing.marks))
    name = hashlib.sha256(f"{drawing}".encode("utf-8", "replace")).hexdigest()[:8]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" '
        f'viewBox="0 0 {number(WIDTH)} {number(drawing.height)}" width="100%" '
        f'style="max-width:{number(1.4 * WIDTH)}px" aria-labelledby="t{name} d{name}">\n'
        f'<title id="t{name}">{escape(drawing.title)}</title>\n'
        f'<desc id="d{name}">{escape(drawing.description)}</desc>\n'
        f"<style>{_STYLE}</style>\n{content}\n</svg>\n"
    )


def escape(text: str) -> str:
    """Text for SVG and HTML; characters that XML does not know become U+FFFD."""
    return html.escape(_NOT_XML.sub("\ufffd", text))


def number(value: float) -> str:
    """A coordinate: two decimals at most, no trailing zeros, no minus zero."""
    return "0" if abs(value) < 0.005 else f"{value:.2f}".rstrip("0").rstrip(".")


def breadth(text: str, size: float = FONT, bold: bool = False) -> float:
    """Estimated width of a line of text; East Asian characters are square."""
    letters = sum(1.0 if unicodedata.east_asian_width(c) in "WF" else _LETTER for c in text)
    return letters * size * (_BOLD if bold else 1.0)


def cut(text: str, room: float, size: float = FONT) -> str:
    """The text, shortened with an ellipsis where it is wider than `room`."""
    flat = " ".join(text.split())
    if breadth(flat, size) <= room:
        return flat
    while flat and breadth(flat + "…", size) > room:
        flat = flat[:-1]
    return flat.rstrip() + "…"


def wrapped(text: str, room: float, size: float = FONT, bold: bool = False) -> list[str]:
    """The text in lines that fit `room`; a word that alone is wider is broken, after a sign if it can be."""
    lines = [""]
    for word in text.split():
        for k, part in enumerate([word] if breadth(word, size, bold) <= room else _SIGN.split(word)):
            joined = lines[-1] + (" " if lines[-1] and not k else "") + part
            if breadth(joined, size, bold) <= room:
                lines[-1] = joined
                continue
            lines.append("")
            for letter in part:
                if breadth(lines[-1] + letter, size, bold) > room:
                    lines.append("")
                lines[-1] += letter
    return [line for line in lines if line]


def heading(title: str, below: Sequence[str] = ()) -> tuple[list[Mark], float]:
    """A title and lines under it, from the top of a drawing; also how far down they reach."""
    marks: list[Mark] = []
    y = 4.0
    for text, size, bold in ((title, 15.0, True), *((line, SMALL, False) for line in below)):
        for line in wrapped(text, WIDTH - 16, size, bold):
            y += 1.35 * size
            marks.append(Words(8, y, line, size=size, bold=bold))
    return marks, y + 8


def caption(text: str, middle: float, y: float) -> tuple[list[Mark], float]:
    """Centred small lines from `y` downward; also the last one's baseline."""
    marks: list[Mark] = []
    for line in wrapped(text, 2 * min(middle - 8, WIDTH - 8 - middle), SMALL):
        y += 1.3 * SMALL
        marks.append(Words(middle, y, line, "middle", SMALL))
    return marks, y


def key(names: Sequence[str], y: float) -> tuple[list[Mark], float]:
    """What the colours mean, whole names since their ends may differ; also how far down it reaches."""
    marks: list[Mark] = []
    for i, name in enumerate(names):
        y += 18
        marks.append(Stroke(((10, y - 4), (34, y - 4)), series(i), 2, DASHES[i // len(LIGHT) % len(DASHES)]))
        marks.append(Dot(22, y - 4, series(i), name, hollow=i % 2 == 1))
        first, *more = wrapped(name, WIDTH - 50) or [""]
        marks.append(Words(42, y, first))
        for line in more:
            y += 1.2 * FONT
            marks.append(Words(42, y, line))
    return marks, y + 8


def series(i: int) -> str:
    """The colour of series i."""
    return str(i % len(LIGHT))


def _svg(mark: Mark) -> str:
    if isinstance(mark, Stroke):
        points = " ".join(f"{number(x)},{number(y)}" for x, y in mark.points)
        dash = f' stroke-dasharray="{mark.dash}"' if mark.dash else ""
        return (
            f'<polyline class="l{mark.colour}" points="{points}" stroke-width="{number(mark.width)}"{dash}/>'
        )
    if isinstance(mark, Words):
        bold = ' font-weight="600"' if mark.bold else ""
        tip = f"<title>{escape(mark.full)}</title>" if mark.full not in ("", mark.text) else ""
        return (
            f'<text x="{number(mark.x)}" y="{number(mark.y)}" font-size="{number(mark.size)}" '
            f'text-anchor="{mark.anchor}"{bold}>{tip}{escape(mark.text)}</text>'
        )
    look = f"h{mark.colour}" if mark.hollow else f"f{mark.colour}"
    place = f'cx="{number(mark.x)}" cy="{number(mark.y)}" r="{number(mark.radius)}"'
    return f'<circle class="{look}" {place}><title>{escape(mark.tip)}</title></circle>'


def _styles() -> str:
    """Rules of all drawings; each colour first as itself, for readers that know no variables."""
    rules = [
        ".plot text{font-family:system-ui,-apple-system,sans-serif;fill:currentColor}",
        ".plot polyline{fill:none;stroke-linejoin:round}",
        f".plot .l{INK}{{stroke:currentColor}}",
        f".plot .l{FAINT}{{stroke:currentColor;stroke-opacity:.18}}",
    ]
    for i, colour in enumerate(LIGHT):
        rules.append(f".plot .f{i}{{fill:{colour};fill:var(--plot-{i},{colour})}}")
        rules.append(f".plot .l{i}{{stroke:{colour};stroke:var(--plot-{i},{colour})}}")
        rules.append(
            f".plot .h{i}{{fill:none;stroke-width:2;stroke:{colour};stroke:var(--plot-{i},{colour})}}"
        )
    dark = "".join(
        f".plot .f{i}{{fill:var(--plot-{i},{colour})}}"
        f".plot .l{i},.plot .h{i}{{stroke:var(--plot-{i},{colour})}}"
        for i, colour in enumerate(DARK)
    )
    rules.append(f"@media (prefers-color-scheme:dark){{:root.plot{{color:#e8e8e8}}{dark}}}")
    return "\n".join(rules)


_STYLE = _styles()
