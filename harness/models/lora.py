"""Low-rank adapters: which a checkpoint has, and what each adds to its tensors.

An adapter adds scaling * left @ right to a weight (Hu et al., "LoRA", 2021). Two places are known: beside
each weight in the checkpoint's own file, all adapters in one tensor with a leading axis (Jina's), and one
folder an adapter with adapter_config.json and adapter_model.safetensors (PEFT's).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ModelError, UnknownNameError
from harness.models.weights import read_json

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# Settings of PEFT that change what an adapter computes, with the only value that is applied here.
_PLAIN = {
    "use_dora": False, "use_rslora": False, "fan_in_fan_out": False, "lora_bias": False, "bias": "none",
    "alpha_pattern": {}, "rank_pattern": {}, "modules_to_save": None, "exclude_modules": None,
    "layers_to_transform": None, "layers_pattern": None, "layer_replication": None,
    "trainable_token_indices": None, "target_parameters": None,
}  # fmt: skip


@dataclass(frozen=True)
class Adapter:
    """What one adapter adds: `scaling * left @ right` to the weight of each module, by the module's name."""

    scaling: float
    parts: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Folder:
    """The settings of an adapter in PEFT's format.

    Attributes:
        targets: ends of the names of the modules it changes, or a pattern of whole names.
    """

    where: Path
    rank: int
    scaling: float
    targets: tuple[str, ...] | str

    @property
    def weights(self) -> Path:
        """The file of its tensors."""
        return self.where / _WEIGHTS

    def changes(self, module: str) -> bool:
        """Whether the adapter has tensors for this module."""
        if isinstance(self.targets, str):
            return re.fullmatch(self.targets, module) is not None
        return any(module == end or module.endswith(f".{end}") for end in self.targets)


def adapter_names(base: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of a checkpoint's adapters: those that config.json lists, else its folders that hold one.

    Args:
        base: folder of the transformer.

    Raises:
        ModelError: a list that is none.
    """
    listed = config.get("lora_adaptations")
    if listed is None:
        return tuple(sorted(path.parent.name for path in base.glob(f"*/{_CONFIG}")))
    named = isinstance(listed, list) and all(isinstance(name, str) and name for name in listed)
    if not named or len(set(listed)) < len(listed):
        raise ModelError(f"{base / 'config.json'}: lora_adaptations {listed!r} is no list of distinct names")
    return tuple(listed)


def adapter_files(base: Path, config: Mapping[str, Any]) -> list[str]:
    """Files of adapters in folders of their own, relative to `base`.

    Raises:
        ModelError: a folder has settings and no tensors.
    """
    if config.get("lora_adaptations") is not None:
        return []
    names = adapter_names(base, config)
    if without := [name for name in names if not (base / name / _WEIGHTS).is_file()]:
        raise ModelError(f"{base / without[0]} holds {_CONFIG} and no {_WEIGHTS}")
    return [f"{name}/{file}" for name in names for file in (_CONFIG, _WEIGHTS)]


def find_adapter(route: str, names: Iterable[str], model: str) -> str:
    """The adapter that a route means: the same name, or that of its folder (`retrieval_query`).

    Raises:
        UnknownNameError: the checkpoint has none of this name.
        ModelError: it has none at all.
    """
    known = list(names)
    found = next((name for name in known if _spelt(name) == _spelt(route)), None)
    if found is None and not known:
        raise ModelError(f"{model} has no adapters; {route!r} was asked for")
    if found is None:
        raise UnknownNameError("adapter", route, known, f"adapters of {model}: {', '.join(known)}")
    return found


def open_folder(where: Path) -> Folder:
    """The settings of an adapter in a folder.

    Raises:
        ModelError: no LoRA, or a setting beyond rank, alpha and the modules it changes.
    """
    path = where / _CONFIG
    config = read_json(path, {})
    if config.get("peft_type") != "LORA":
        raise ModelError(f"{path}: peft_type {config.get('peft_type')!r} cannot be loaded, only 'LORA'")
    for key, due in _PLAIN.items():
        if config.get(key) and config[key] != due:
            raise ModelError(f"{path}: {key} is {config[key]!r}, which this program does not apply")
    rank, alpha, targets = config.get("r"), config.get("lora_alpha"), config.get("target_modules")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise ModelError(f"{path}: r {rank!r} and lora_alpha {alpha!r}; two numbers are needed, r from 1")
    if not targets or not isinstance(targets, str | list):
        raise ModelError(f"{path}: target_modules {targets!r} names no module")
    return Folder(where, rank, alpha / rank, targets if isinstance(targets, str) else tuple(targets))


def _spelt(name: str) -> str:
    """A folder, and a module of torch, has no dot in its name."""
    return re.sub(r"[.-]", "_", name)
