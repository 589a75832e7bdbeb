"""The golden check: does a model, as loaded here, give the values that were published for it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import ConfigError, ModelError, NonFiniteError, UnknownNameError
from harness.models.base import BiEncoder, CrossEncoder, ModelCard
from harness.models.catalog import Golden, load_catalog
from harness.models.load import load_model
from harness.models.prompts import prompt_for, render
from harness.models.resolve import parse_reference
from harness.types import Pairs, Role, Texts


@dataclass(frozen=True)
class Compared:
    """One value beside the published one; `what` is the document, or the component of the vector."""

    what: str
    expected: float
    found: float
    tolerance: float
    source: str

    @property
    def difference(self) -> float:
        """Found minus expected."""
        return self.found - self.expected

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the tolerance."""
        return abs(self.difference) <= self.tolerance


def compare_golden(
    name: str, *, catalog: str | Path | None = None, **options: Any
) -> tuple[ModelCard, list[Compared]]:
    """Load a model of the catalog and compare it with its row's golden values.

    Only values of the dtype that the model runs in are compared. Whether a row has any is asked before
    anything is downloaded.

    Args:
        options: as `load_model` takes them.

    Raises:
        UnknownNameError: the catalog has no such row.
        ConfigError: the row has no values, or none of this dtype.
        ModelError: the weights cannot be had or loaded, or the model answers nonsense.
    """
    rows = load_catalog(catalog)
    row = rows.find(parse_reference(name).name)
    if row is None:
        raise UnknownNameError(
            "model", name, rows.names(), "verify takes models of the catalog; --weights names their files"
        )
    if not row.golden:
        raise ConfigError(
            f"{row.name}: the catalog has no values to verify it by (`harness models --json`: who has)\n"
            "write some under 'golden' of a row in a catalog of your own (--catalog)"
        )
    model = load_model(name, catalog=catalog, **options)
    fitting = [golden for golden in row.golden if golden.dtype == model.card.dtype]
    if not fitting:
        known = sorted({golden.dtype for golden in row.golden})
        raise ConfigError(
            f"{row.name}: no values are known of {model.card.dtype}; verify it with --dtype {known[0]}"
        )
    compared = [one for golden in fitting for one in _compare(model, golden)]
    return model.card, compared


def _compare(model: Any, golden: Golden) -> list[Compared]:
    """Every value of one set, in its order."""
    if golden.vector:
        expected = golden.vector
        found = _head(model, golden)
        names: Sequence[str] = [f"{golden.query} [{i}]" for i in range(len(expected))]
    else:
        expected, names = golden.scores, golden.documents
        found = _scores(model, golden)
    if len(found) != len(expected):
        raise ModelError(f"{model.card.name} answered {len(found)} values where {len(expected)} were due")
    if not np.isfinite(found).all():
        raise NonFiniteError(f"{model.card.name} answered NaN or infinity for {golden.query!r}")
    return [
        Compared(what, want, float(got), golden.rtol * abs(want) + golden.atol, golden.source)
        for what, want, got in zip(names, expected, found, strict=True)
    ]


def _scores(model: BiEncoder | CrossEncoder, golden: Golden) -> np.ndarray:
    """Cosines, or a cross-encoder's scores, of the query with every document, float64 [n]."""
    if isinstance(model, CrossEncoder):
        pairs = Pairs([golden.query] * len(golden.documents), golden.documents)
        return np.asarray(model.score(pairs), dtype=np.float64)
    query = _encode(model, golden, [golden.query], "query")[0]
    documents = _encode(model, golden, golden.documents, "document")
    lengths = np.linalg.norm(documents, axis=1) * np.linalg.norm(query)
    if not lengths.all():
        raise ModelError(f"{model.card.name} answered a vector of zeros for {golden.query!r} or a document")
    return np.asarray(documents @ query / lengths)


def _head(model: BiEncoder, golden: Golden) -> np.ndarray:
    """The first components of the query's vector, float64 [n]; unit length has no place in them."""
    if model.card.normalized:
        raise ModelError(
            f"{model.card.name}: this checkpoint scales vectors to unit length; the values known are of raw "
            "ones"
        )
    return _encode(model, golden, [golden.query], "sentence")[0, : len(golden.vector)]


def _encode(model: BiEncoder, golden: Golden, texts: list[str], role: Role) -> np.ndarray:
    """Vectors float64 [n, dim] of texts behind the prompt of their role."""
    kind = "sts" if role == "sentence" else "retrieval"
    prompt = prompt_for(model.card.prompts, golden.prompts, kind, role)
    return np.asarray(model.encode(render(Texts(texts, role), prompt)), dtype=np.float64)
