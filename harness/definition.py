"""What a suite's YAML may say of a task; what is left out is looked up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from harness.data.template import parse_template

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
    """Where a task's data come from: exactly one of `mteb`, `hub`, `folder`, `files`; or files of a hub's.

    `files` maps a split to a file, to files by subset, or (ranking kinds) to files by part, perhaps by
    subset: `harness.data.files` says what they mean. Paths are relative to the YAML that names them.
    """

    mteb: str | None = None
    hub: str | None = None
    folder: str | None = None
    files: dict[str, Any] | None = None
    format: Literal["csv", "tsv", "tsv-unquoted", "json", "parquet"] | None = None
    revision: str | None = None
    config: str | None = None
    subset: str | None = None
    configs: dict[Literal["corpus", "queries", "qrels", "candidates", "rows"], str] | None = None

    @field_validator("files")
    @classmethod
    def _names_and_paths(cls, files: dict[str, Any] | None) -> dict[str, Any] | None:
        _check_files(files)
        return files

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        own_files = self.files is not None and self.hub is None
        if sum((self.mteb is not None, self.hub is not None, self.folder is not None, own_files)) != 1:
            raise ValueError("a source names exactly one of mteb, hub, folder, files (or files of a hub)")
        if self.subset and not self.mteb:
            raise ValueError("a subset is one of an mteb task; a hub data set has a config")
        if self.hub and not self.revision:
            raise ValueError("a hub source needs its revision, so that the data cannot change under a score")
        if self.files is not None and (self.config or self.configs):
            raise ValueError("a source that names files has no config or configs")
        if self.files is not None and not self.files:
            raise ValueError("files names no split; write {test: file.csv}")
        if self.format and self.files is None:
            raise ValueError("format belongs to files")
        if own_files and self.revision:
            raise ValueError("local files have no revision: their content says when they changed")
        for path in _paths(self.files) if self.hub else ():
            if path.startswith("/") or "\\" in path or {"", ".", ".."} & set(path.split("/")):
                raise ValueError(f"{path!r} is no path inside the repository {self.hub}")
        return self


def anchored(source: Source, folder: Path) -> Source:
    """The same source with the paths of local files as seen from where the program runs.

    Args:
        folder: that of the YAML that names them.
    """
    if source.files is None or source.hub is not None:
        return source
    return source.model_copy(update={"files": _under(source.files, folder)})


def _under(files: Any, folder: Path) -> Any:
    if isinstance(files, dict):
        return {name: _under(inner, folder) for name, inner in files.items()}
    return str(folder / files)


def _check_files(files: Any, depth: int = 0) -> None:
    if isinstance(files, str) and files.strip() and depth:
        return
    if not isinstance(files, dict) or (depth and not files):
        if files is None and not depth:
            return
        raise ValueError("files map a split to a file's path, or to paths by part or by subset")
    if depth > 2:
        raise ValueError("files are nested too deep: split, subset, part is all there is")
    for name, inner in files.items():
        if not isinstance(name, str) or not is_name(name):
            raise ValueError(
                f"{name!r} is no name of a split, subset or part: "
                "text without slashes (quote yes, no and numbers)"
            )
        _check_files(inner, depth + 1)


def _paths(files: Any) -> list[str]:
    if isinstance(files, dict):
        return [path for inner in files.values() for path in _paths(inner)]
    return [] if files is None else [files]


def is_name(name: str) -> bool:
    """Whether a task, split or subset may be called so: nothing that a path would take for a step."""
    return NAME.fullmatch(name) is not None and name.strip(". ") != "" and name == name.strip()


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
    tolerance: Annotated[float, Field(ge=0)] | None = None  # points that published scores may differ by

    @field_validator("name")
    @classmethod
    def _no_step(cls, name: str) -> str:
        if not is_name(name):
            raise ValueError(
                "a name is no step of a path: it holds more than dots and does not end in spaces"
            )
        return name

    @field_validator("document")
    @classmethod
    def _only_columns(cls, template: str | None) -> str | None:
        if template is not None:
            parse_template(template)
        return template
