"""Which tensors a checkpoint of XLM-R with rotary positions must have, and reading exactly those.

Two sets of names are known. Jina's: `encoder.layers.0.mixer.Wqkv` and so on, with query, key and value one
below the other, and `parametrizations.weight.original` in the place of `weight` where adapters stand beside
it. transformers': `layers.0.self_attn.q_proj` and so on. Below, tensors have the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from harness.errors import ModelError
from harness.models.checkpoint import Checkpoint
from harness.models.lora import Adapter, Folder, open_folder
from harness.models.refusals import refuse_differences, refuse_non_finite
from harness.models.weights import read_tensors

Shapes = dict[str, tuple[int, ...]]
_COUNTS = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
    "type_vocab_size", "max_position_embeddings",
)  # fmt: skip
_THETA = 20000.0  # of transformers' config, where a checkpoint's own names none
_UNUSED = ("pooler.", "embeddings.position_ids")
_OURS_TO_JINA = (
    ("embeddings.LayerNorm", "emb_ln"), ("layers.", "encoder.layers."),
    ("self_attn.o_proj", "mixer.out_proj"), ("post_attention_layernorm", "norm1"),
    ("post_mlp_layernorm", "norm2"),
)  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """What config.json says; `inner` is the width of the feed-forward half, `theta` the rotary base."""

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    types: int
    positions: int
    eps: float
    theta: float


@dataclass(frozen=True)
class Stored:
    """A checkpoint's tensors in the precision they are stored in, and its adapters by name."""

    sizes: Sizes
    tensors: Mapping[str, Any]
    adapters: Mapping[str, Adapter]


@dataclass(frozen=True)
class Module:
    """One stored weight: its name in the file, the modules whose rows it holds, what it is, its shape."""

    stored: str
    names: tuple[str, ...]
    what: str  # "linear", "table" or "norm"
    shape: tuple[int, ...]


def read_stored(checkpoint: Checkpoint, unused_tensors: Sequence[str] = ()) -> Stored:
    """A checkpoint's sizes, its tensors and its adapters.

    Args:
        unused_tensors: prefixes of stored tensors that may be left over, beside the pooler's.

    Raises:
        ModelError: config.json asks for another network; tensors, those of adapters included, are missing,
            left over, of another shape or not finite.
    """
    sizes = read_sizes(checkpoint)
    where = checkpoint.transformer
    paths = [checkpoint.folder / name for name in checkpoint.weights]
    found = _read([path for path in paths if path.parent == where], "roberta.")
    within = checkpoint.config.get("lora_adaptations") is not None
    modules = _modules(sizes, jina=any(".mixer.Wqkv." in name for name in found))
    rank = _rank(checkpoint) if within else 0
    number = len(checkpoint.adapters) if within else 0
    _refuse(checkpoint, found, dict(chain.from_iterable(_due(m, number, rank) for m in modules)),
            (*_UNUSED, *unused_tensors))  # fmt: skip
    tensors: dict[str, Any] = {}
    parts: list[dict[str, tuple[Any, Any]]] = [{} for _ in range(number)]
    for module in modules:
        weight = found[f"{module.stored}.{_ORIGINAL if number and module.what != 'norm' else 'weight'}"]
        tensors |= _split(module, "weight", weight)
        if module.what != "table":
            tensors |= _split(module, "bias", found[f"{module.stored}.bias"])
        if number and module.what != "norm":
            a, b = (found[f"{module.stored}.{_LOW}{side}"] for side in "AB")
            for k in range(number):
                left, right = (a[k], b[k]) if module.what == "table" else (b[k], a[k])
                pieces = left.chunk(len(module.names))
                parts[k] |= {n: (own, right) for n, own in zip(module.names, pieces, strict=True)}
    if within:
        scaling = float(checkpoint.config["lora_alpha"]) / rank if rank else 0.0
        adapters = {n: Adapter(scaling, own) for n, own in zip(checkpoint.adapters, parts, strict=True)}
    else:
        adapters = {
            name: _adapter(checkpoint, open_folder(where / name), sizes) for name in checkpoint.adapters
        }
    stored = Stored(sizes, tensors, adapters)
    refuse_non_finite(_all(stored), where)
    return stored


_ORIGINAL, _LOW = "parametrizations.weight.original", "parametrizations.weight.0.lora_"


def read_sizes(checkpoint: Checkpoint) -> Sizes:
    """The sizes that config.json names.

    Raises:
        ModelError: one is missing or no number, or a setting is none of the published models'.
    """
    config, where = checkpoint.config, checkpoint.transformer / "config.json"
    for key in _COUNTS:
        if not isinstance(config.get(key), int) or config[key] < 1:
            raise ModelError(f"{where}: {key} is {config.get(key)!r}; a whole number from 1 is needed")
    if config["hidden_size"] % (2 * config["num_attention_heads"]):
        raise ModelError(
            f"{where}: num_attention_heads {config['num_attention_heads']} does not divide "
            f"hidden_size {config['hidden_size']} into even parts"
        )
    if config.get("hidden_act", "gelu") != "gelu":
        raise ModelError(f"{where}: hidden_act {config['hidden_act']!r} cannot be loaded, only 'gelu'")
    return Sizes(
        hidden=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        inner=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        types=config["type_vocab_size"],
        positions=config["max_position_embeddings"],
        eps=float(config.get("layer_norm_eps", 1e-5)),
        theta=_theta(config, where),
    )


def _theta(config: Mapping[str, Any], where: Path) -> float:
    rotary = config.get("rope_parameters") or {}
    kind = rotary.get("rope_type", "default")
    theta = rotary.get("rope_theta", config.get("rotary_emb_base"))
    if theta is None and config.get("position_embedding_type") != "rotary":
        theta = _THETA
    if kind != "default" or not isinstance(theta, int | float) or theta <= 1:
        raise ModelError(
            f"{where}: rotary positions of type {kind!r} with base {theta!r}; the default type is needed, "
            "and a base above 1 in rotary_emb_base or rope_parameters"
        )
    return float(theta)


def _rank(checkpoint: Checkpoint) -> int:
    config, where = checkpoint.config, checkpoint.transformer / "config.json"
    rank, alpha = config.get("lora_rank"), config.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise ModelError(f"{where}: lora_rank {rank!r} and lora_alpha {alpha!r}; two numbers are needed")
    return rank


def _modules(sizes: Sizes, *, jina: bool) -> list[Module]:
    """Every weight of the network, under Jina's names or under transformers'."""
    hidden, inner = sizes.hidden, sizes.inner
    found = [
        Module("embeddings.word_embeddings", (), "table", (sizes.vocabulary, hidden)),
        Module("embeddings.token_type_embeddings", (), "table", (sizes.types, hidden)),
        Module("embeddings.LayerNorm", (), "norm", (hidden,)),
    ]
    for i in range(sizes.layers):
        at = f"layers.{i}."
        sides = tuple(f"{at}self_attn.{side}_proj" for side in "qkv")
        if jina:
            found.append(Module(f"{at}mixer.Wqkv", sides, "linear", (3 * hidden, hidden)))
        else:
            found += [Module(side, (), "linear", (hidden, hidden)) for side in sides]
        found += [
            Module(f"{at}self_attn.o_proj", (), "linear", (hidden, hidden)),
            Module(f"{at}mlp.fc1", (), "linear", (inner, hidden)),
            Module(f"{at}mlp.fc2", (), "linear", (hidden, inner)),
            Module(f"{at}post_attention_layernorm", (), "norm", (hidden,)),
            Module(f"{at}post_mlp_layernorm", (), "norm", (hidden,)),
        ]
    return [
        Module(_jina(m.stored) if jina else m.stored, m.names or (m.stored,), m.what, m.shape) for m in found
    ]


def _jina(name: str) -> str:
    for ours, theirs in _OURS_TO_JINA:
        name = name.replace(ours, theirs)
    return name


def _due(module: Module, adapters: int, rank: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the tensors of one module, `adapters` low-rank pairs beside it."""
    name, shape = module.stored, module.shape
    if module.what != "table":
        yield f"{name}.bias", shape[:1]
    if module.what == "norm" or not adapters:
        yield f"{name}.weight", shape
        return
    rows, columns = shape
    inwards = module.what == "linear"
    yield f"{name}.{_ORIGINAL}", shape
    yield f"{name}.{_LOW}A", (adapters, rank, columns) if inwards else (adapters, rows, rank)
    yield f"{name}.{_LOW}B", (adapters, rows, rank) if inwards else (adapters, rank, columns)


def _adapter(checkpoint: Checkpoint, folder: Folder, sizes: Sizes) -> Adapter:
    """An adapter from a folder of its own, of which the pooler's part is left out."""
    name = folder.where.name
    found = {
        f"{name}/{key}": t for key, t in _read([folder.weights], "base_model.model.", "roberta.").items()
    }
    due: Shapes = {}
    ends: dict[str, tuple[str, str]] = {}
    for module in _modules(sizes, jina=False):
        if module.what == "norm" or not folder.changes(module.stored):
            continue
        (rows, columns), rank = module.shape, folder.rank
        ends[module.stored] = ("lora_A.weight", "lora_B.weight")
        if module.what == "table":  # stored the other way round
            ends[module.stored], rows, columns = ("lora_embedding_A", "lora_embedding_B"), columns, rows
        first, second = (f"{name}/{module.stored}.{end}" for end in ends[module.stored])
        due |= {first: (rank, columns), second: (rows, rank)}
    if not due:
        raise ModelError(f"{folder.where}: target_modules {folder.targets!r} names no module of this network")
    _refuse(checkpoint, found, due, (f"{name}/pooler.",))
    parts = {}
    for module_name, (first, second) in ends.items():
        a, b = found[f"{name}/{module_name}.{first}"], found[f"{name}/{module_name}.{second}"]
        parts[module_name] = (a.T, b.T) if first == "lora_embedding_A" else (b, a)
    return Adapter(folder.scaling, parts)


def _refuse(
    checkpoint: Checkpoint, found: Mapping[str, Any], due: Shapes, may_be_left: tuple[str, ...]
) -> None:
    """Raise ModelError unless exactly the due tensors were found."""
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    report = {
        "missing_keys": due.keys() - shapes.keys(),
        "unexpected_keys": shapes.keys() - due.keys(),
        "mismatched_keys": [(n, shapes[n], due[n]) for n in due if shapes.get(n, due[n]) != due[n]],
        "error_msgs": [],
    }
    refuse_differences(report, checkpoint, (), may_be_left)


def _split(module: Module, end: str, tensor: Any) -> dict[str, Any]:
    """The rows of each module that a stored tensor holds."""
    pieces = tensor.chunk(len(module.names))
    return {f"{name}.{end}": piece for name, piece in zip(module.names, pieces, strict=True)}


def _read(paths: Sequence[Path], *prefixes: str) -> dict[str, Any]:
    """Tensors of files by name, without prefixes."""
    tensors: dict[str, Any] = {}
    for path in paths:
        try:
            for stored, tensor in read_tensors(path):
                name = stored
                for prefix in prefixes:
                    name = name.removeprefix(prefix)
                if name in tensors:
                    raise ModelError(f"{path}: tensor {stored!r} is stored a second time")
                tensors[name] = tensor
        except (OSError, SafetensorError, RuntimeError) as error:
            raise ModelError(f"{path}: its weights cannot be read ({error})") from error
    return tensors


def _all(stored: Stored) -> Iterator[tuple[str, Any]]:
    yield from stored.tensors.items()
    for name, adapter in stored.adapters.items():
        for module, (left, right) in adapter.parts.items():
            yield f"{name}: {module}.left", left
            yield f"{name}: {module}.right", right
