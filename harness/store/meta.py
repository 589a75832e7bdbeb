"""model_meta.json: the fields of mteb's ModelMeta (mteb 2), filled with what is known of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# every field mteb requires of a ModelMeta, with what stands there while nothing is known
UNKNOWN: dict[str, Any] = {
    "loader": None,
    "name": None,
    "revision": None,
    "release_date": None,
    "languages": None,
    "n_parameters": None,
    "n_active_parameters_override": None,
    "n_embedding_parameters": None,
    "memory_usage_mb": None,
    "max_tokens": None,
    "embed_dim": None,
    "license": None,
    "open_weights": None,
    "public_training_code": None,
    "public_training_data": None,
    "framework": [],
    "reference": None,
    "similarity_fn_name": None,
    "use_instructions": None,
    "training_datasets": None,
    "adapted_from": None,
    "superseded_by": None,
    "modalities": ["text"],
    "model_type": ["dense"],
    "citation": None,
    "contacts": None,
    "experiment_kwargs": None,
}
MODEL_TYPES = {"bi-encoder": ["dense"], "cross-encoder": ["cross-encoder"], "lexical": ["sparse"]}
SIMILARITIES = ("cosine", "dot", "MaxSim")  # the only names mteb reads back


def model_meta(card: Mapping[str, Any], variant: tuple[str, ...] = ()) -> dict[str, Any]:
    """mteb's ModelMeta of a model as a JSON-ready mapping.

    Args:
        card: mteb's field names (`n_parameters`, `embed_dim`, `max_tokens` ...) to values; also `kind`
            (bi-encoder, cross-encoder, lexical), which gives the model type. Other keys are not mteb's
            and stay out; a similarity that mteb has no name for is null.
        variant: tokens of the run; they become mteb's experiment, so that mteb, too, keeps variants apart.
    """
    known = {name: card[name] for name in UNKNOWN if card.get(name) is not None}
    meta = {**UNKNOWN, **known}
    if "model_type" not in known and card.get("kind") in MODEL_TYPES:
        meta["model_type"] = MODEL_TYPES[card["kind"]]
    if meta["similarity_fn_name"] not in SIMILARITIES:
        meta["similarity_fn_name"] = None
    if variant and not meta["experiment_kwargs"]:
        meta["experiment_kwargs"] = {"variant": "+".join(variant)}
    return {
        name: sorted(value) if isinstance(value, set | frozenset) else value for name, value in meta.items()
    }
