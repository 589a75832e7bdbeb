"""The record of a score: what decides whether it still stands, and everything that could have moved it."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from harness.models.base import ModelCard
from harness.models.variants import parse_variant, relevant
from harness.task import Task
from harness.types import Result, Scores

_LIBRARIES = (
    "harness",
    "mteb",
    "numpy",
    "scikit-learn",
    "scipy",
    "sentence-transformers",
    "tokenizers",
    "torch",
    "transformers",
)

_CHANGES = {
    "fingerprint": "the model changed (weights, tokenizer, pooling, dtype or length)",
    "data": "the data changed",
    "scorer": "the scorer changed",
    "settings": "the scorer's settings changed",
    "main": "the main metric changed",
    "prompts": "the prompts changed",
    "routes": "the adapters of the texts changed",
    "similarity": "the similarity changed",
    "first_stage": "the first stage changed",
}


def identity(
    task: Task,
    card: ModelCard,
    data: str,
    prompts: Mapping[str, str],
    first: Mapping[str, Any] | None = None,
    routes: Mapping[str, str] | None = None,
    stream: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """All that decides whether a stored number still stands, JSON-ready.

    Args:
        data: fingerprint of the examples.
        prompts: name of a kind's text to the prompt in front of it.
        first: the first stage whose candidates were reranked (see `FirstStage.identity`).
        routes: name of a kind's text to the adapter it goes through; None where no text has any.
        stream: what names the random stream that was drawn from (see `harness.streams`).
    """
    return {
        "fingerprint": card.fingerprint,
        "data": data,
        "scorer": f"{task.scorer.name}@{task.scorer.version}",
        "settings": json.loads(json.dumps({**task.settings, **(stream or {})})),
        "main": task.main,
        "prompts": dict(prompts),
        "routes": None if routes is None else dict(routes),
        "similarity": card.similarity,
        "first_stage": None if first is None else dict(first),
    }


def variant_of(card: ModelCard, task: Task) -> tuple[str, ...]:
    """The tokens that set a result apart: those of the card's that can matter to this kind of task."""
    tokens = relevant(card.variant, task.kind, card.kind, card.prompts)
    return tokens if task.searched else tuple(t for t in tokens if "first" not in parse_variant([t]))


def stale(found: Result, now: Mapping[str, Any]) -> list[str]:
    """What has changed since a result was stored, in words; empty where it is still valid.

    Args:
        now: `identity` of what would be scored today.
    """
    if now["fingerprint"] is None:
        return ["the model declares no fingerprint, so nothing tells whether it changed"]
    if now["first_stage"] is not None and now["first_stage"]["fingerprint"] is None:
        return ["the first stage declares no fingerprint, so nothing tells whether it changed"]
    then = {**found.provenance, "scorer": found.scorer, "data": found.data_fingerprint}
    return [_CHANGES[name] for name, value in now.items() if then.get(name) != value]


def result(
    task: Task,
    split: str,
    subset: str,
    card: ModelCard,
    scores: Scores,
    now: Mapping[str, Any],
    shown: Mapping[str, str],
    cost: Mapping[str, Any],
) -> Result:
    """One Result with its provenance.

    Args:
        now: `identity` of what was scored.
        shown: role to the first rendered text.
        cost: seconds, texts asked for and texts encoded; after a first stage, the hash of its candidates.
    """
    provenance = {
        **{name: value for name, value in now.items() if name not in ("data", "scorer")},
        "catalog_row": card.catalog_row,
        "dtype": card.dtype,
        "device": card.device,
        "backend": card.backend,
        "max_length": card.max_length,
        "pooling": card.pooling,
        "tokenizer": card.tokenizer,
        "normalized": card.normalized,
        "prompt_policy": card.prompt_policy,
        "notes": list(card.notes),
        **({} if card.served is None else {"served_model": card.served}),
        "first_texts": dict(shown),
        "absent": [list(entry) for entry in task.absent],
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
        **cost,
    }
    return Result(
        model=card.name,
        revision=card.revision,
        variant=variant_of(card, task),
        task=task.name,
        kind=task.kind,
        protocol=task.protocol,
        scorer=now["scorer"],
        split=split,
        subset=subset,
        languages=tuple(task.languages.get(subset, ())),
        data_revision=task.revision,
        data_fingerprint=now["data"],
        main_metric=scores.main,
        metrics=scores.metrics,
        exact=scores.exact,
        undefined=scores.undefined,
        details=scores.details,
        provenance=provenance,
        samples=scores.samples,
    )


def meta(card: ModelCard) -> dict[str, Any]:
    """A card in mteb's field names, for `model_meta.json`."""
    return {
        "name": card.name,
        "revision": card.revision,
        "kind": card.kind,
        "languages": list(card.languages) or None,
        "n_parameters": card.parameters,
        "max_tokens": card.max_length,
        "embed_dim": card.dim,
        "license": card.licence,
        "similarity_fn_name": card.similarity,
        "framework": [card.framework] if card.framework else [],
        "use_instructions": bool(card.prompts),
    }


@functools.cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
