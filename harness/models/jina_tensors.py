"""Which tensors a JinaBERT checkpoint must have, and reading exactly those.

The sizes come from config.json; the layout is named there and must be that of the tensors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from safetensors import SafetensorError

from harness.errors import ModelError
from harness.models import weights
from harness.models.checkpoint import Checkpoint
from harness.models.refusals import refuse_differences

Layout = Literal["EN", "CODE"]
Shapes = dict[str, tuple[int, ...]]
_CODE_BASES: dict[str, Layout] = {"jina-bert-implementation": "EN", "jina-bert-v2-qk-post-norm": "CODE"}
_MARKS: dict[str, Layout] = {".mlp.gated_layers.": "EN", ".mlp.up_gated_layer.": "CODE"}
_SETTINGS = {"position_embedding_type": "alibi", "feed_forward_type": "geglu", "hidden_act": "gelu"}


@dataclass(frozen=True)
class Sizes:
    """What config.json says; `inner` is the width of the feed-forward half."""

    layout: Layout
    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    types: int
    eps: float


def read_tensors(checkpoint: Checkpoint, unused_tensors: Sequence[str] = ()) -> tuple[Sizes, dict[str, Any]]:
    """A checkpoint's sizes and its tensors, exactly those of `shapes`, as they are stored.

    Args:
        unused_tensors: prefixes of stored tensors that may be left over, beside the pooler's.

    Raises:
        ModelError: config.json asks for another network, or tensors are missing, left over or of another
            shape.
    """
    stored = _stored(checkpoint)
    sizes = read_sizes(checkpoint, stored)
    due = shapes(sizes)
    found = {name: tuple(tensor.shape) for name, tensor in stored.items()}
    report = {
        "missing_keys": due.keys() - found.keys(),
        "unexpected_keys": found.keys() - due.keys(),
        "mismatched_keys": [(n, found[n], due[n]) for n in due if found.get(n, due[n]) != due[n]],
        "error_msgs": [],
    }
    refuse_differences(report, checkpoint, (), ("pooler.", "embeddings.position_ids", *unused_tensors))
    return sizes, {name: stored[name] for name in due}


def read_sizes(checkpoint: Checkpoint, names: Collection[str]) -> Sizes:
    """The sizes and the layout of a checkpoint whose tensors have these names.

    Raises:
        ModelError: a setting that is none of the published models', or one that the tensors contradict.
    """
    config, where = checkpoint.config, checkpoint.transformer / "config.json"
    for key, due in _SETTINGS.items():
        found = config.get(key, "gelu" if key == "hidden_act" else None)
        if found != due:
            raise ModelError(f"{where}: JinaBERT with {key} {found!r} cannot be loaded, only with {due!r}")
    for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"):
        if not isinstance(config.get(key), int) or config[key] < 1:
            raise ModelError(f"{where}: {key} is {config.get(key)!r}; a whole number from 1 is needed")
    if config["hidden_size"] % config["num_attention_heads"]:
        raise ModelError(
            f"{where}: num_attention_heads {config['num_attention_heads']} does not divide "
            f"hidden_size {config['hidden_size']}"
        )
    return Sizes(
        layout=_layout(checkpoint, names),
        hidden=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        inner=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        types=int(config.get("type_vocab_size", 2)),
        eps=float(config.get("layer_norm_eps", 1e-12)),
    )


def shapes(sizes: Sizes) -> Shapes:
    """Every tensor that a checkpoint must have, by its name without the prefix `bert.`."""
    hidden, inner = sizes.hidden, sizes.inner
    due: Shapes = {
        "embeddings.word_embeddings.weight": (sizes.vocabulary, hidden),
        "embeddings.token_type_embeddings.weight": (sizes.types, hidden),
        **_both("embeddings.LayerNorm", hidden),
    }
    for i in range(sizes.layers):
        at = f"encoder.layer.{i}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            due |= _both(f"{at}attention.{name}", hidden, hidden)
        due |= _both(f"{at}attention.output.LayerNorm", hidden)
        if sizes.layout == "EN":
            due[f"{at}mlp.gated_layers.weight"] = (2 * inner, hidden)
            due |= {**_both(f"{at}mlp.wo", hidden, inner), **_both(f"{at}mlp.layernorm", hidden)}
        else:
            due[f"{at}mlp.up_gated_layer.weight"] = (2 * inner, hidden)
            due |= _both(f"{at}mlp.down_layer", hidden, inner)
            for name in ("attention.self.layer_norm_q", "attention.self.layer_norm_k", "layer_norm_1",
                         "layer_norm_2"):  # fmt: skip
                due |= _both(at + name, hidden)
    return due


def _both(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _layout(checkpoint: Checkpoint, names: Collection[str]) -> Layout:
    """The layout that config.json names; its tensors must have it."""
    config = checkpoint.config
    spoken = [str(config.get("auto_map") or ""), str(config.get("_name_or_path") or "")]
    declared = [layout for text in spoken for code, layout in _CODE_BASES.items() if code in text]
    built = {layout for mark, layout in _MARKS.items() if any(mark in name for name in names)}
    if len(built) > 1 or (declared and built and built != {declared[0]}):
        said = f"its config.json says {declared[0]}" if declared else "its config.json names none"
        raise ModelError(
            f"{checkpoint.transformer}: tensors of JinaBERT's layout {' and '.join(sorted(built))}; {said}"
        )
    if not (declared or built):
        raise ModelError(
            f"{checkpoint.transformer}: neither config.json nor a tensor tells JinaBERT's layout"
        )
    return declared[0] if declared else built.pop()


def _stored(checkpoint: Checkpoint) -> dict[str, Any]:
    """The transformer's tensors by name, without the prefix `bert.`."""
    tensors: dict[str, Any] = {}
    root = checkpoint.transformer
    for path in checkpoint.weights_in(checkpoint.root):
        try:
            tensors |= weights.read_tensors(path)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise ModelError(f"{path}: its weights cannot be read ({error})") from error
    bare = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}
    if len(bare) < len(tensors):
        twice = sorted(name for name in tensors if f"bert.{name}" in tensors)
        raise ModelError(f"{root} holds tensors with and without the prefix 'bert.': {', '.join(twice[:4])}")
    return bare
