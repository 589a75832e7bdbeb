"""`load_model`: a plugin, else the catalog, a folder or the hub, through the adapter that the row names."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, ModelError, UnknownNameError
from harness.models import models
from harness.models.base import METHODS, Model, ModelCard, Options
from harness.models.catalog import load_catalog
from harness.models.identity import Memo
from harness.models.prompts import check_policy
from harness.models.quantise import check_quant
from harness.models.resolve import Reference, Source, parse_reference, resolve
from harness.models.variants import format_variant, parse_variant
from harness.paths import cache_folder
from harness.registry import Registry

adapters = Registry(
    "model adapter",
    {
        "dense": "harness.models.dense:load_dense",
        "jina_bert": "harness.models.dense:load_jina_bert",
        "cross": "harness.models.cross:load_cross",
        "static": "harness.models.static:load_static",
        "lexical": "harness.models.lexical:load_lexical",
        "ngram": "harness.models.ngram:load_ngram",
        "remote": "harness.models.remote:load_remote",
        "fake": "harness.models.fake:load_fake",
        "fake_cross": "harness.models.fake:load_fake_cross",
    },
)


def load_model(
    name: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    max_length: int | None = None,
    prompts: str | None = None,
    weights: str | Path | None = None,
    display_name: str | None = None,
    catalog: str | Path | None = None,
    cache: str | Path | None = None,
    offline: bool = False,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    batch_tokens: int | None = None,
    dim: int | None = None,
    quant: str | None = None,
    backend: str | None = None,
) -> Model:
    """A model by name, its card complete, its weights not yet read.

    Args:
        name: `NAME[@REVISION][+VARIANT...]`: a plugin's name, a catalog name, a hub id or a local path.
        device: "auto" (default), "cpu", "cuda", "cuda:1", "mps".
        dtype, max_length, dim, quant, backend: instead of the catalog's; part of the model's identity.
        prompts: policy, card (default), mteb or none.
        weights: folder that holds the checkpoint, instead of the hub.
        display_name: name in results of a local checkpoint.
        catalog: a YAML file with rows of your own.
        cache: folder for hashes; default HARNESS_CACHE, else the platform's.
        batch_tokens: padded tokens a batch; speed only.

    Raises:
        UnknownNameError: nobody knows the name.
        ModelError: files are missing or wrong, or this version cannot load the model.
        ConfigError: an option that makes no sense here.
    """
    reference = parse_reference(name)
    asked = _merge(
        parse_variant(reference.tokens),
        {
            "dtype": dtype,
            "max_length": max_length,
            "dim": dim,
            "quant": quant,
            "prompts": prompts,
            "backend": backend,
        },
    )
    if asked.pop("first", None):
        raise ConfigError(
            f"{name!r}: a first stage is a model of its own; give it to the run (harness eval --first-stage, "
            f"evaluate(first_stage=...))"
        )
    _check(asked, batch_tokens)
    if reference.name in models:
        return _plugin(reference, asked, {"device": device, "batch_tokens": batch_tokens})
    if asked["backend"] not in (None, "torch"):  # before gigabytes are fetched for it
        raise ConfigError(f"backend {asked['backend']!r} is not available with this version; torch is")
    options = Options(
        **asked,
        device=device or "auto",
        batch_tokens=batch_tokens,
        cache=cache_folder(cache),
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
        offline=offline,
    )
    return _adapt(_source(reference, options, weights, display_name, catalog, offline), options)


def _source(
    reference: Reference,
    options: Options,
    weights: str | Path | None,
    display_name: str | None,
    catalog: str | Path | None,
    offline: bool,
) -> Source:
    rows = load_catalog(catalog)
    try:
        return resolve(
            reference,
            rows,
            Memo(options.cache),
            weights=Path(weights).expanduser() if weights else None,
            display_name=display_name,
            offline=offline,
            allow_pickle=options.allow_pickle,
            trust_remote_code=options.trust_remote_code,
        )
    except UnknownNameError as error:
        if error.what != "model":
            raise
        raise UnknownNameError("model", error.name, [*rows.names(), *models], _second_line(error)) from error


def _adapt(source: Source, options: Options) -> Model:
    """The adapter of the catalog row; off the catalog, the one for what the checkpoint declares to be."""
    row, checkpoint = source.row, source.checkpoint
    if row is not None:
        name = row.adapter
    else:
        assert checkpoint is not None
        name = "cross" if checkpoint.kind == "cross-encoder" else "static" if checkpoint.static else "dense"
    if checkpoint is None:
        given = {k: getattr(options, k) for k in ("dtype", "max_length", "dim", "quant", "backend")}
        taken = ("max_length", "dim", "quant") if name == "remote" else ()
        if name == "remote":  # to baselines these are no more than a wish
            given["device"] = None if options.device == "auto" else options.device
            given["batch_tokens"] = options.batch_tokens
        chosen = sorted(k for k, value in given.items() if value is not None and k not in taken)
        if chosen:
            here = "runs as a service" if name == "remote" else "has no weights"
            raise ConfigError(f"{source.name} {here}: it takes no {', '.join(chosen)}")
    model: Model = adapters.get(name)(source, options)
    if row is not None and model.card.kind != row.kind:
        raise ModelError(f"{row.name}: the catalog says {row.kind}, adapter {name!r} gives {model.card.kind}")
    return model


def _plugin(reference: Reference, asked: dict[str, Any], speed: dict[str, Any]) -> Model:
    """A registered class, factory or ready object; options reach it as keywords, prompts on its card."""
    thing = models.get(reference.name)
    policy = asked.pop("prompts", None)
    given = {key: value for key, value in {**asked, **speed}.items() if value is not None}
    made = thing
    if isinstance(thing, type) or not hasattr(thing, "card"):
        try:
            inspect.signature(thing).bind(**given)
        except TypeError as error:
            raise ConfigError(
                f"model {reference.name!r} does not take {', '.join(given)}: {error}"
            ) from error
        made = thing(**given)
    elif given:
        raise ConfigError(f"model {reference.name!r} is ready made: it takes no {', '.join(given)}")
    card = getattr(made, "card", None)
    if not isinstance(card, ModelCard):
        raise ModelError(f"model {reference.name!r} has no card of type ModelCard")
    if not callable(getattr(made, METHODS[card.kind], None)):
        raise ModelError(f"model {reference.name!r} is a {card.kind} without a method {METHODS[card.kind]!r}")
    if reference.revision not in (None, card.revision):
        raise ModelError(f"model {reference.name!r} is at {card.revision}, not at {reference.revision}")
    if policy:
        made.card = replace(card, prompt_policy=policy, variant=_joined(card, {"prompts": policy}))
    plugin: Model = made
    return plugin


def _merge(tokens: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Options and variant tokens as one; a contradiction is an error."""
    for key, value in options.items():
        if value is not None and tokens.get(key, value) != value:
            raise ConfigError(f"the name says {key} {tokens[key]}, the option {value}")
    return {**options, **tokens}


def _check(asked: dict[str, Any], batch_tokens: int | None) -> None:
    if asked["prompts"] is not None:
        check_policy(asked["prompts"])
    if asked["quant"] is not None:
        check_quant(asked["quant"])
    for key, value in {
        "max_length": asked["max_length"],
        "dim": asked["dim"],
        "batch_tokens": batch_tokens,
    }.items():
        if value is not None and value < 1:
            raise ConfigError(f"{key} {value}: at least 1 is needed")


def _joined(card: ModelCard, chosen: dict[str, Any]) -> tuple[str, ...]:
    return tuple(sorted({*card.variant, *format_variant(chosen)}))


def _second_line(error: Exception) -> str:
    return str(error).partition("\n")[2]
