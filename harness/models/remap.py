"""Checkpoints whose tensors are XLM-R's under other names, and how they become XLM-R.

Three layouts are known, told apart by the names of the stored tensors and never by the repository's name:

- `flash`: Jina's XLM-R with fused projections (jina-reranker-v2 and its fine-tunes). One layer's tensors are
  `mixer.Wqkv`, whose rows are query, key and value one below the other, `mixer.out_proj`, `norm1`, `mlp.fc1`,
  `mlp.fc2` and `norm2`; its network is XLM-R's (Conneau et al., 2020), post-norm, with learned positions.
- `native`: XLM-R's own names in a folder whose config.json does not say so (fine-tunes of the former).
- `luke`: LUKE (Yamada et al., 2020). Of words alone it is XLM-R: entity embeddings and the queries between
  words and entities never enter.

transformers' XLM-R also attends faster than its LUKE, and takes part in `harness.models.fused`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ModelError
from harness.models.weights import header, read_tensors

TOKENIZER_TYPE = "xlm-roberta"
NETWORK = "xlm-roberta"
_SIZES = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings", "type_vocab_size", "layer_norm_eps",
)  # fmt: skip
_DEFAULTS = {"hidden_act": "gelu", "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
_FUSED = re.compile(r"(.*)\.mixer\.Wqkv\.(weight|bias)")
_NATIVE = re.compile(r"(roberta\.)?encoder\.layer\.0\.attention\.self\.query\.weight")
_HEAD = "classifier.out_proj.weight"
# The layer first: what follows stands inside one.
_RENAMED = (
    (re.compile(r"^(roberta\.)?emb_ln\."), r"\1embeddings.LayerNorm."),
    (re.compile(r"^(roberta\.)?encoder\.layers\."), r"\1encoder.layer."),
    (re.compile(r"(\.layer\.\d+)\.mixer\.out_proj\."), r"\1.attention.output.dense."),
    (re.compile(r"(\.layer\.\d+)\.norm1\."), r"\1.attention.output.LayerNorm."),
    (re.compile(r"(\.layer\.\d+)\.norm2\."), r"\1.output.LayerNorm."),
    (re.compile(r"(\.layer\.\d+)\.mlp\.fc1\."), r"\1.intermediate.dense."),
    (re.compile(r"(\.layer\.\d+)\.mlp\.fc2\."), r"\1.output.dense."),
)
_OF_ENTITIES = re.compile(
    r"entity_embeddings\..+|encoder\.layer\.\d+\.attention\.self\.(w2e|e2w|e2e)_query\..+"
)


def find_layout(config: Mapping[str, Any], weights: Sequence[Path]) -> tuple[str | None, dict[str, Any]]:
    """The layout of a checkpoint, None where transformers loads it as it is, and its config made complete.

    Args:
        config: config.json, which may name no `model_type`.
        weights: the transformer's weight files; names are read off safetensors, never off pickle.

    Raises:
        ModelError: fused names, but a network that is not XLM-R's.
    """
    family = config.get("model_type") or None
    if family == "luke":
        return "luke", dict(config)
    if family not in (None, NETWORK):
        return None, dict(config)
    shapes = dict(item for path in weights for item in header(path))
    fused = any(_FUSED.fullmatch(name) for name in shapes)
    if not fused and (family or not any(_NATIVE.fullmatch(name) for name in shapes)):
        return None, dict(config)
    positions = config.get("position_embedding_type", "absolute")
    if positions != "absolute":
        raise ModelError(f"{weights[0].parent}: XLM-R with {positions!r} positions cannot be loaded")
    complete = {**_DEFAULTS, **config, "model_type": NETWORK}
    if _HEAD in shapes:
        complete.setdefault("architectures", ["XLMRobertaForSequenceClassification"])
        complete.setdefault("num_labels", shapes[_HEAD][0])
    return "flash" if fused else "native", complete


def open_remapped(
    layout: str, config: Mapping[str, Any], where: Path, weights: Sequence[Path]
) -> dict[str, Any]:
    """What transformers' `from_pretrained` is given in the place of a folder: XLM-R's config and tensors.

    Raises:
        ModelError: config.json lacks a size, or two stored tensors have the same place.
    """
    from transformers import XLMRobertaConfig

    lacking = [key for key in _SIZES if key not in config]
    if lacking:
        raise ModelError(f"{where / 'config.json'} names no {', '.join(lacking)}")
    labels = len(config.get("id2label") or ()) or int(config.get("num_labels", 2))
    sizes = {key: config[key] for key in _SIZES}
    others = {key: config.get(key, default) for key, default in _DEFAULTS.items()}
    state: dict[str, Any] = {}
    for path in weights:
        for stored, tensor in read_tensors(path):
            for name, part in _renamed(layout, stored, tensor, where):
                if name in state:
                    raise ModelError(f"{where}: tensor {stored!r} is stored a second time, as {name!r}")
                state[name] = part
    return {"config": XLMRobertaConfig(**sizes, **others, num_labels=labels), "state_dict": state}


def _renamed(layout: str, stored: str, tensor: Any, where: Path) -> Iterator[tuple[str, Any]]:
    """The places of one stored tensor: one, three for fused projections, none for what only entities use."""
    if layout == "luke":
        name = stored.removeprefix("luke.")
        if not _OF_ENTITIES.fullmatch(name):
            yield name, tensor
        return
    name = stored
    for pattern, place in _RENAMED if layout == "flash" else ():
        name = pattern.sub(place, name)
    fused = _FUSED.fullmatch(name) if layout == "flash" else None
    if fused is None:
        yield name, tensor
        return
    if len(tensor) % 3:
        raise ModelError(f"{where}: tensor {stored!r} has {len(tensor)} rows, which are no three projections")
    for part, rows in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
        yield f"{fused[1]}.attention.self.{part}.{fused[2]}", rows.contiguous()
