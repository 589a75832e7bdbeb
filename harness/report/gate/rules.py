"""What a gate allows: `gates.yaml`, and what counts where it says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from harness.definition import Strict
from harness.errors import ConfigError
from harness.yamlfile import load_yaml

Score = Annotated[float, Field(allow_inf_nan=False)]
Points = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# What makes a comparison invalid unless the file accepts it; the rest of the environment is only shown.
Difference = Literal[
    "data", "dtype", "max_length", "prompts", "scorer", "settings", "main", "first_stage",
    "device", "backend", "libraries",
]  # fmt: skip


class Rule(Strict):
    """Limits of one task, one type of task or a mean. All scores and drops in points (x100)."""

    max_drop: Points | None = None
    max_relative_drop: Points | None = None  # per cent of the baseline's score
    max_drop_untested: Points | None = None  # instead of max_drop, where there are no per-example values
    floor: Score | None = None
    must_improve: Points | None = None
    weight: Points | None = None

    def over(self, other: Rule) -> Rule:
        """This rule, with what it leaves open taken from another one."""
        said = self.model_dump(exclude_none=True)
        return Rule(**{**other.model_dump(exclude_none=True), **said})

    def allowed(self, baseline: float, *, tested: bool = True) -> float:
        """The largest drop that is no regression, in points: the smaller of the two limits."""
        alone = not tested and self.max_drop_untested is not None
        points = self.max_drop_untested if alone else self.max_drop
        limits = [points] if points is not None else []
        if self.max_relative_drop is not None:
            limits.append(self.max_relative_drop / 100 * abs(baseline))
        return min(limits, default=0.0)


LEVEL = 0.05
BUILT_IN = Rule(max_drop=0.5, weight=1.0)  # of a task; of a mean, the noise of single tasks averages out
BUILT_IN_MEAN = Rule(max_drop=0.3)


def _completed(rule: Rule, built_in: Rule) -> Rule:
    """A rule with what is built in; no built-in limit stands beside one of the user's own."""
    if rule.max_relative_drop is not None and rule.max_drop is None:
        built_in = built_in.model_copy(update={"max_drop": None})
    return rule.over(built_in)


def _without_weight(rule: Rule) -> Rule:
    if rule.weight is not None:
        raise ValueError("only tasks have a weight: tasks: {NAME: {weight: ...}}")
    return rule


MeanRule = Annotated[Rule, AfterValidator(_without_weight)]


class Section(Strict):
    """Rules of one suite, or of all of them.

    Attributes:
        level: the chance of a false alarm that is allowed, over all checks of a gate together.
        mean: of the (weighted) mean over the tasks.
        types, tasks: by name; `default` stands for those that are not named. A type without any rule is
            not gated.
        required: tasks that both sides must have; the others may be absent, and that is said. None for
            every task that either side has.
    """

    level: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    mean: MeanRule = Rule()
    types: dict[str, MeanRule] = Field(default_factory=dict)
    tasks: dict[str, Rule] = Field(default_factory=dict)
    required: list[str] | None = None


class Gates(Section):
    """The whole file.

    Attributes:
        exact: points that a score may move under --exact: float noise of another machine.
        accept: differences between the two results that do not make them incomparable here.
        suites: what differs for single suites.
    """

    exact: Points = 1e-4
    accept: list[Difference] = Field(default_factory=list)
    suites: dict[str, Section] = Field(default_factory=dict)

    def task(self, suite: str, name: str) -> Rule:
        """The rule of a task; the suite's word counts before the file's."""
        found = Rule()
        for section in self._sections(suite):
            found = found.over(section.tasks.get(name, Rule())).over(section.tasks.get("default", Rule()))
        return _completed(found, BUILT_IN)

    def type(self, suite: str, name: str) -> Rule | None:
        """The rule of a type's mean, or None where there is none."""
        found = Rule()
        for section in self._sections(suite):
            found = found.over(section.types.get(name, Rule())).over(section.types.get("default", Rule()))
        return None if found == Rule() else _completed(found, BUILT_IN_MEAN)

    def whole(self, suite: str) -> Rule:
        """The rule of the mean over the suite's tasks."""
        found = Rule()
        for section in self._sections(suite):
            found = found.over(section.mean)
        return _completed(found, BUILT_IN_MEAN)

    def level_of(self, suite: str) -> float:
        """The level of a suite's gate."""
        return next((s.level for s in self._sections(suite) if s.level is not None), LEVEL)

    def needed(self, suite: str) -> list[str] | None:
        """The required tasks; None for all that either side has."""
        return next((s.required for s in self._sections(suite) if s.required is not None), None)

    def named(self, suite: str) -> Iterator[str]:
        """Every task that a rule or `required` names."""
        for section in self._sections(suite):
            yield from (name for name in section.tasks if name != "default")
            yield from section.required or ()

    def named_types(self, suite: str) -> Iterator[str]:
        """Every type that a rule names."""
        for section in self._sections(suite):
            yield from (name for name in section.types if name != "default")

    def _sections(self, suite: str) -> list[Section]:
        own = self.suites.get(suite)
        return [own, self] if own is not None else [self]


def load_gates(path: Path | None) -> Gates:
    """The rules of a file, or the built-in ones.

    Raises:
        ConfigError: with file and line; a file that says nothing, too: nobody gives one to gate by it.
    """
    if path is None:
        return Gates()
    try:
        return load_yaml(path, Gates)
    except ConfigError as error:
        if is_empty(path):
            raise ConfigError(
                f"{path} holds no rules: write one (mean: {{max_drop: 0.3}}), or leave --config away"
            ) from error
        raise


def is_empty(path: Path) -> bool:
    """Whether nothing stands in a file but comments."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ["none"]
    return all(not line.strip() or line.lstrip().startswith("#") or line.strip() == "---" for line in lines)
