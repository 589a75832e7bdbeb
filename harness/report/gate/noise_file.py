"""Measured noise as a `gates.yaml`: each tolerance with what it was derived from."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.gate.noise import LEAST, MOVES, Noise
from harness.report.gate.rules_edit import newline, put, scalar


def to_yaml(whole: Noise, tasks: Sequence[Noise], model: str, suite: str) -> str:
    """A `gates.yaml` of the suggested tolerances, each with what it was derived from."""
    lines = [
        *_about(model, suite),
        "suites:",
        f"  {scalar(suite)}:",
        f"    mean: {_flow(whole)}",
        "    tasks:",
    ]
    return "\n".join([*lines, *(f"      {scalar(one.name)}: {_flow(one)}" for one in tasks)]) + "\n"


def merged(
    text: str,
    label: str,
    whole: Noise,
    tasks: Sequence[Noise],
    model: str,
    suite: str,
    *,
    force: bool = False,
) -> tuple[str, list[str]]:
    """The text of a `gates.yaml` with the suggested tolerances put in; all else stays as it is.

    Args:
        label: how messages name the file.
        force: whether tolerances that the file gives already are replaced.

    Returns:
        The new text, and a line for each value of the file's own that was kept.

    Raises:
        DataError: the file is no mapping, or cannot be added to without rewriting it.
    """
    kept = []
    for one, place in [(whole, ("mean",)), *((task, ("tasks", task.name)) for task in tasks)]:
        for key, value in reversed(_limits(one).items()):
            path = ("suites", suite, *place, key)
            text, theirs = put(text, label, path, f"{value:g}", _derived(one), force=force)
            if theirs is not None and theirs != f"{value:g}":
                kept.append(f"{'.'.join(path)}: kept {theirs}, measured {value:g}")
    end = newline(text)
    about = end.join(_about(model, suite))
    return text if about in text else f"{text}{about}{end}", kept


def addable(text: str, label: str, suite: str, tasks: Sequence[str]) -> None:
    """Whether tolerances can be put into a file, asked before what takes hours to measure is there.

    Raises:
        DataError: as `merged`.
    """
    least = [Noise(name, "", 0.0, (0.0,), (0.0,), repeated=True) for name in (suite, *tasks)]
    merged(text, label, least[0], least[1:], "", suite, force=True)


def _about(model: str, suite: str) -> list[str]:
    return [
        f"# What noise alone does to {model} on {suite}; scores in points (x100). Measured by: harness noise",
        f"# max_drop = {MOVES:g} x the largest move of a repeat (other batches, threads and order of tasks)",
        "#            + 2 x sqrt(2) x the standard deviation over seeds, where the protocol draws at random;",
        f"#            rounded up to 0.01, at least {LEAST:g}. Where experiments repeat the draw, the gate",
        "#            tests that spread: it counts in max_drop_untested only.",
    ]


def _limits(one: Noise) -> dict[str, float]:
    more = {} if one.untested is None else {"max_drop_untested": one.untested}
    return {"max_drop": one.tolerance, **more}


def _flow(one: Noise) -> str:
    said = ", ".join(f"{key}: {value:g}" for key, value in _limits(one).items())
    return f"{{{said}}}  # {_derived(one)}"


def _derived(one: Noise) -> str:
    drawn = "" if one.drawn is None else f"; {one.drawn:.4f} over {len(one.seeds) + 1} seeds"
    runs = f"{len(one.repeats)} repeat{'s' * (len(one.repeats) != 1)}"
    return f"{one.metric} {one.score:.2f}: moved {one.moved:.4f} in {runs}{drawn}"
