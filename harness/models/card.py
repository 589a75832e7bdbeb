"""The card of a checkpoint: catalog row, checkpoint and options joined, and the fingerprint over them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast, get_args

from harness.errors import ConfigError, MissingExtraError, ModelError
from harness.models.base import ModelCard, Options, Similarity
from harness.models.catalog import Row
from harness.models.checkpoint import Checkpoint, pooling_modes
from harness.models.identity import Memo, checkpoint_fingerprint
from harness.models.prompts import check_policy, contradicted, policy_matters
from harness.models.resolve import Source
from harness.models.strict import pick_device
from harness.models.variants import DTYPES, FROZEN, format_variant
from harness.types import ModelKind


def checkpoint_card(
    source: Source,
    options: Options,
    *,
    adapter: str,
    kind: ModelKind,
    dim: int | None,
    again: bool = False,
    scaled: bool = False,
    pooling: str | None,
    normalized: bool | None,
) -> ModelCard:
    """The card of a checkpoint-backed model; reads small files and hashes, never weights into memory.

    Args:
        again: whether vectors are scaled to unit length once more after they were cut to `dim`.
        scaled: whether they had unit length before they were cut or rounded, where no file of it says so.

    Raises:
        ModelError: the row's kind is another, or a length is asked for that the positions cannot hold.
        MissingExtraError: a distribution that the row requires is not installed.
        ConfigError: an option outside its choices.
    """
    row, checkpoint = source.row, source.checkpoint
    assert checkpoint is not None
    frozen = _frozen(source, checkpoint)
    dtype = options.dtype or frozen["dtype"]
    if dtype not in DTYPES:
        raise ConfigError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    backend = options.backend or "torch"
    if backend != "torch":
        raise ConfigError(f"backend {backend!r} is not available with this version; torch is")
    max_length = options.max_length or frozen["max_length"]
    if max_length is not None and checkpoint.positions is not None and max_length > checkpoint.positions:
        raise ModelError(
            f"{source.name} has positions for {checkpoint.positions} tokens; {max_length} were asked for"
        )
    prompts = dict(row.prompts) if row else checkpoint.prompts
    policy = options.prompts or "card"
    check_policy(policy)
    chosen = {
        "dtype": dtype,
        "max_length": max_length,
        "dim": options.dim,
        "quant": options.quant,
        "prompts": policy,
        "backend": backend,
    }
    if kind != "bi-encoder" or not policy_matters(prompts, policy):
        chosen["prompts"] = None
    raw = (checkpoint.transformer / "tokenizer.json").is_file()  # needs none of the libraries
    settings = {
        "adapter": adapter,
        "backend": backend,
        "kind": kind,
        "pooling": pooling,
        "normalized": normalized,
        "dtype": dtype,
        "max_length": max_length,
        "dim": dim,
        "tokenizer_type": source.tokenizer_type,
        "requires": _required([] if raw or row is None else row.requires),
    }
    if again:  # vectors of old keep their address
        settings["cut"] = "unit"
    if scaled:
        settings["scaled"] = True
    if options.quant is not None:
        settings["quant"] = options.quant
    if dtype != "float32":
        # In half precision devices do not compute alike: on some the products alone are rounded.
        named = options.device if options.device != "auto" else pick_device("auto").type
        settings["device"] = named.partition(":")[0]
    stored = str(checkpoint.stored.get("similarity_fn_name") or "cosine")
    if row is None and stored not in get_args(Similarity):
        raise ModelError(f"{checkpoint.folder} asks for similarity {stored!r}, which no task uses")
    return ModelCard(
        name=source.name,
        revision=source.revision,
        kind=kind,
        fingerprint=checkpoint_fingerprint(checkpoint, settings, source.tokenizer_type, Memo(options.cache)),
        similarity=row.similarity if row else cast(Similarity, stored),
        dim=dim,
        max_length=max_length,
        pooling=pooling,
        normalized=normalized,
        dtype=dtype,
        device=options.device,
        backend=backend,
        prompts=prompts,
        prompt_policy=policy,
        routes=dict(row.routes) if row else {},
        languages=tuple(row.languages) if row else (),
        licence=row.licence if row else None,
        parameters=row.parameters if row else None,
        variant=format_variant(chosen, frozen),
        catalog_row=row.row if row else None,
        adapter=adapter,
        default_suite=row.default_suite if row else None,
        notes=(*source.notes, *(row.notes if row else ()), *checkpoint_notes(row, checkpoint, kind)),
    )


def _frozen(source: Source, checkpoint: Checkpoint) -> dict[str, Any]:
    """The values a variant is measured against: the row's, else the checkpoint's own."""
    row = source.row
    return {**FROZEN, "max_length": (row.max_length if row else None) or checkpoint.max_length}


def _required(distributions: list[str]) -> dict[str, str]:
    """Versions of what the tokenizer needs; dictionaries change its answers."""
    found, absent = {}, []
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            absent.append(name)
    if absent:
        raise MissingExtraError(f"the tokenizer of this model needs: pip install {' '.join(absent)}")
    return found


def checkpoint_notes(row: Row | None, checkpoint: Checkpoint, kind: ModelKind) -> tuple[str, ...]:
    """What a reader must know of the checkpoint's own modules and prompts."""
    return (*_module_notes(row, checkpoint, kind), *_prompt_notes(row, checkpoint, kind))


def _module_notes(row: Row | None, checkpoint: Checkpoint, kind: ModelKind) -> tuple[str, ...]:
    """Where modules.json, which is followed, says otherwise than the catalog of pooling and unit length."""
    poolings = [step for step in checkpoint.steps if step.kind == "Pooling"]
    if row is None or kind != "bi-encoder" or not checkpoint.steps:
        return ()
    own = "+".join(pooling_modes(poolings[0])) if poolings else None
    unit = checkpoint.steps[-1].kind == "Normalize"
    notes = []
    if None not in (own, row.pooling) and own != row.pooling:
        notes.append(f"pooling: the checkpoint's {own!r} is used, the catalog says {row.pooling!r}")
    if row.normalize not in (None, unit):
        does, said = ("scale", "do not") if unit else ("do not scale", "do")
        notes.append(f"unit length: the checkpoint's modules {does} to it, the catalog says that they {said}")
    return tuple(notes)


def _prompt_notes(row: Row | None, checkpoint: Checkpoint, kind: ModelKind) -> tuple[str, ...]:
    """What a reader must know of the prompts; one that is dropped or replaced is another score.

    Of a catalog model: each prompt that its checkpoint stores otherwise. Of others: which there are, and
    which of them stand in front of nothing because their names mean no role and no task kind.
    """
    if kind != "bi-encoder":
        return ()
    if row is not None:
        return tuple(
            f"{key} prompt: the catalog's {ours!r} is used, the checkpoint stores {theirs!r}"
            for key, (ours, theirs) in contradicted(row.prompts, checkpoint.prompts).items()
        )
    stored = {name for name, text in (checkpoint.stored.get("prompts") or {}).items() if text}
    adapters = ", ".join(checkpoint.adapters)
    without = (
        (f"not in the catalog: no routes, so none of its adapters is used: {adapters}",) if adapters else ()
    )
    if not stored:
        return (*without, "not in the catalog, and the checkpoint stores no prompts: none is used")
    found = (f"not in the catalog; prompts stored in the checkpoint: {', '.join(sorted(stored))}",)
    left = sorted(stored & set(checkpoint.nameless))
    return (
        (*without, f"stored prompts for no known role or task kind, never used: {', '.join(left)}", *found)
        if left
        else (*without, *found)
    )
