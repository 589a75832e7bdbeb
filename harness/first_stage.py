"""The first of two stages: the model whose best documents a cross-encoder reranks on retrieval tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.models import load_model, models
from harness.models.base import Model, ModelCard
from harness.models.catalog import load_catalog
from harness.models.resolve import parse_reference
from harness.models.variants import first_name, first_token, parse_variant

DEPTH = 100
_WITH_DEPTH = re.compile(r"(.+)-([1-9]\d*)", re.DOTALL)


@dataclass(frozen=True)
class FirstStage:
    """A searcher or bi-encoder that proposes candidates.

    Attributes:
        depth: documents a query.

    Raises:
        ConfigError: a cross-encoder, which cannot search, or a depth below 1.
    """

    model: Model
    depth: int = DEPTH

    def __post_init__(self) -> None:
        if self.card.kind == "cross-encoder":
            raise ConfigError(
                f"{self.card.name} is a cross-encoder and cannot search a corpus: "
                f"the first stage is bm25 or a bi-encoder"
            )
        if self.depth < 1:
            raise ConfigError(f"a first stage of {self.depth} documents: at least 1 is needed")

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self.model.card

    def identity(self, prompts: Mapping[str, str], routes: Mapping[str, str]) -> dict[str, Any]:
        """All that decides which documents it proposes on given data, JSON-ready.

        Args:
            prompts: name of a text ("queries", "documents") to the prompt in front of it.
            routes: the same to the adapter it goes through.
        """
        card = self.card
        return {
            "name": card.name,
            "revision": card.revision,
            "fingerprint": card.fingerprint,
            "similarity": card.similarity,
            "prompts": dict(prompts),
            **({"routes": dict(routes)} if any(routes.values()) else {}),
            "depth": self.depth,
        }


def staged(card: ModelCard, first: FirstStage | None) -> ModelCard:
    """The card with the variant that a first stage makes of the model.

    Raises:
        ConfigError: the model is no cross-encoder: it searches by itself.
    """
    if first is None:
        return card
    if card.kind != "cross-encoder":
        raise ConfigError(
            f"{card.name} is of kind {card.kind} and searches by itself: leave --first-stage out; "
            f"it is for cross-encoders"
        )
    token = first_token(first.card.name, first.card.variant, first.depth)
    return replace(card, variant=tuple(sorted({*card.variant, token})))


def load_first_stage(
    text: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    catalog: str | Path | None = None,
    cache: str | Path | None = None,
    offline: bool = False,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
) -> FirstStage:
    """The first stage `NAME[-K]`: `bm25`, `bm25-50`, `intfloat/multilingual-e5-small-200`.

    What is a model's name or a folder as it stands is not taken apart.

    Args:
        device: nothing to a service, which is elsewhere.
        dtype: of a network, where the name says none; nothing to other models.

    Raises:
        UnknownNameError: nobody knows the name.
        ModelError: the model cannot be loaded.
        ConfigError: it cannot be a first stage.
    """
    whole = text in models or Path(text).expanduser().is_dir()
    rows = load_catalog(catalog)
    whole = whole or rows.find(text) is not None
    match = None if whole else _WITH_DEPTH.fullmatch(text)
    name, depth = (match[1], int(match[2])) if match else (text, DEPTH)
    reference = parse_reference(name)
    row = rows.find(reference.name)
    options: dict[str, Any] = {
        "device": None if row is not None and row.adapter == "remote" else device,
        "catalog": catalog,
        "cache": cache,
        "offline": offline,
        "trust_remote_code": trust_remote_code,
        "allow_pickle": allow_pickle,
    }
    model = load_model(name, **options)  # its card only: no weights yet
    network = model.card.adapter.partition("@")[0] in ("dense", "jina_bert", "rotary")
    if dtype is not None and network and "dtype" not in parse_variant(reference.tokens):
        model = load_model(name, dtype=dtype, **options)
    return FirstStage(model, depth)


def split_first(text: str) -> tuple[str, str | None]:
    """A model as written without its first stage, and that: `x+first-bm25-50+bf16`: `x+bf16`, `bm25-50`.

    Raises as `parse_reference`.
    """
    tokens = parse_reference(text).tokens
    chosen = parse_variant(tokens).get("first")
    if chosen is None:
        return text, None
    head = text[: len(text) - sum(len(token) + 1 for token in tokens)]
    kept = [token for token in tokens if "first" not in parse_variant([token])]
    return "+".join([head, *kept]), f"{first_name(chosen[0])}-{chosen[1]}"
