"""What a suite's YAML may say of a task; what is left out is looked up."""

from __future__ import annotations

import re
from string import Formatter
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

Rng = Literal["alone", "sequence"]  # see `harness.streams`
NAME = re.compile(r"[^/\\\x00-\x1f]{1,120}")


class Strict(BaseModel):
    """Frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Splits(Strict):
    """The splits of a protocol that chooses on one and scores on another; the test split alone is needed."""

    test: str
    dev: str | None = None
    train: str | None = None


_SPLITS = Annotated[
    Annotated[list[str], Tag("list")] | Annotated[Splits, Tag("mapping")],
    Discriminator(lambda value: "mapping" if isinstance(value, dict | Splits) else "list"),
]


class Source(Strict):
    """Where a task's data come from: exactly one of `mteb`, `hub`, `folder`."""

    mteb: str | None = None
    hub: str | None = None
    folder: str | None = None
    revision: str | None = None
    config: str | None = None
    subset: str | None = None
    configs: dict[Literal["corpus", "queries", "qrels", "candidates"], str] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if sum(place is not None for place in (self.mteb, self.hub, self.folder)) != 1:
            raise ValueError("a source names exactly one of mteb, hub, folder")
        if self.subset and not self.mteb:
            raise ValueError("a subset is one of an mteb task; a hub data set has a config")
        if self.hub and not self.revision:
            raise ValueError("a hub source needs its revision, so that the data cannot change under a score")
        return self


class TaskDefinition(Strict):
    """One task as a suite's YAML (or a name on the command line) defines it; what is absent is looked up."""

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    kind: str | None = None
    scorer: str | None = None
    source: Source | None = None
    splits: _SPLITS | None = None
    subsets: list[str] | None = None
    document: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, bool | int | float | str | list[str] | None] = Field(default_factory=dict)
    rng: Rng | None = None  # the suite's, where it is left out
    languages: list[str] = Field(default_factory=list)
    main: str | None = None
    also: list[str] = Field(default_factory=list)  # metrics shown beside the main one, in no mean
    column: str | None = None  # of the suite's table that the task counts in; default: its type
    members: list[str] = Field(default_factory=list)
    expect: dict[str, float] = Field(default_factory=dict)

    @field_validator("document")
    @classmethod
    def _known_fields(cls, template: str | None) -> str | None:
        for _, field_name, _, _ in Formatter().parse(template or ""):
            if field_name not in (None, "title", "text"):
                raise ValueError(f"a document template knows {{title}} and {{text}}, not {{{field_name}}}")
        return template
