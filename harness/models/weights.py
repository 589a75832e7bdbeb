"""Weight files of a checkpoint folder: which there are, what they say they hold, and their tensors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from harness.errors import ModelError


def weight_files(folder: Path, allow_pickle: bool) -> list[str]:
    """Names of the weight files of one folder: safetensors before pickle, shards by their index."""
    for stem, suffix in (("model", "safetensors"), ("pytorch_model", "bin")):
        whole, index = folder / f"{stem}.{suffix}", folder / f"{stem}.{suffix}.index.json"
        if whole.is_file():
            names = [whole.name]
        elif index.is_file():
            names = sorted(set(read_json(index, {}).get("weight_map", {}).values()))
        else:
            continue
        absent = [name for name in names if not (folder / name).is_file()]
        if absent or not names:
            raise ModelError(f"{index} names weight files that are not there: {', '.join(absent) or 'none'}")
        if suffix == "bin" and not allow_pickle:
            raise ModelError(
                f"{folder} holds pickle weights only ({names[0]}); reading them can run code\n"
                "convert them to safetensors, or pass --allow-pickle if you trust where they come from"
            )
        return names
    raise ModelError(f"{folder} holds no weights; model.safetensors (or its shards and index) is needed")


def table_width(path: Path) -> int:
    """Length of the vectors in the table of a static model.

    Raises:
        ModelError: the file holds no such table.
    """
    shapes = dict(header(path))
    found = [shapes[name] for name in ("embedding.weight", "embeddings") if name in shapes]
    if len(found) != 1 or len(found[0]) != 2:
        raise ModelError(f"{path}: tensors {sorted(shapes)}; one of embedding.weight, embeddings is needed")
    return int(found[0][1])


def header(path: Path) -> Iterator[tuple[str, list[int]]]:
    """Names and shapes of a safetensors file, from its first bytes; nothing of pickle.

    Raises:
        ModelError: the file is damaged.
    """
    if path.suffix != ".safetensors":
        return
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        raw = file.read(size) if size <= path.stat().st_size else b""
    try:
        entries = json.loads(raw)
        shapes = {name: list(entry["shape"]) for name, entry in entries.items() if name != "__metadata__"}
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} cannot be loaded: its header, the first {size:,} bytes, is damaged or cut off\n"
            "fetch the file anew"
        ) from error
    yield from shapes.items()


def read_tensors(path: Path) -> Iterator[tuple[str, Any]]:
    """Tensors of one weight file, by name."""
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(str(path), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (it is no mapping)
                yield name, file.get_tensor(name)
        return
    import torch

    try:
        yield from torch.load(path, map_location="cpu", weights_only=True).items()
    except (UnpicklingError, AttributeError) as error:
        raise ModelError(f"{path}: no pickle of tensors alone, or a damaged one") from error


def read_json(path: Path, default: Any) -> Any:
    """Content of a JSON file of the type of `default`, which stands for a file that is not there.

    Raises:
        ModelError: it is no JSON, or of another type.
    """
    if not path.is_file():
        return default
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(value, type(default)):
        raise ModelError(f"{path}: {type(default).__name__} expected")
    return value
