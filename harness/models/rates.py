"""How many tokens texts make, and how many of them a second a model encodes: read, remembered or guessed.

Nothing here reads weights or imports torch: it is what a dry run may cost.
"""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock

from harness.models.base import ModelCard
from harness.models.checkpoint import Checkpoint
from harness.paths import cache_folder, write_atomic
from harness.types import Int64

Counter = Callable[[Sequence[str], Sequence[str] | None], Int64]
Seconds = Callable[[int, int], float]
SecondsFrom = Literal["measured", "estimated"]

# Share of the matrix product's rate that a whole forward pass reaches at least.
_SHARE = 0.6
# Operations a second that a GPU of the last years surely does: float32, and half precision.
_GPU = {"cuda": (1e13, 4e13), "mps": (2e12, 2e12)}
_MATRIX = 768
_LAYERS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")
_WIDTH = ("hidden_size", "d_model", "dim", "n_embd")
_INNER = ("intermediate_size", "hidden_dim", "d_ff", "n_inner", "ffn_dim")
_NVIDIA = Path("/proc/driver/nvidia/version")
_log = logging.getLogger(__name__)


def counter(model: Any) -> Counter | None:
    """A function from rendered texts (or left and right of pairs) to tokens of each, int64 [n].

    Special tokens count, and nothing beyond the model's max length does. The checkpoint's own
    tokenizer.json is asked; None where there is none.
    """
    checkpoint = _checkpoint(model)
    file = checkpoint.transformer / "tokenizer.json" if checkpoint else None
    if checkpoint is None or file is None or not file.is_file():
        return None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if model.card.max_length:
        tokenizer.enable_truncation(model.card.max_length)
    fold = str.lower if checkpoint.bert.get("do_lower_case") else str

    def count(left: Sequence[str], right: Sequence[str] | None = None) -> Int64:
        rows: list[Any] = [fold(text) for text in left]
        if right is not None:
            rows = list(zip(rows, map(fold, right), strict=True))
        found = tokenizer.encode_batch_fast(rows)
        return np.fromiter((len(each.ids) for each in found), dtype=np.int64, count=len(rows))

    return count


def clock(model: Any, cache: str | Path | None = None) -> tuple[Seconds, SecondsFrom] | None:
    """A function from (tokens, texts) to the seconds that encoding them takes, and where it comes from.

    "measured": the rate of an earlier run of the same model on the same device. "estimated": the operations
    that the config implies over what the device surely does; good for the order of magnitude. None: nothing
    is known, as of a plugin.
    """
    rate = recall(cache, model.card)
    if rate is not None:
        return lambda tokens, texts: tokens / rate, "measured"
    checkpoint = _checkpoint(model)
    if checkpoint is None or operations(checkpoint.config, 1.0) is None:
        return None
    speed = _SHARE * _matrix_rate() if (known := _gpu(model.card)) is None else known

    def seconds(tokens: int, texts: int) -> float:
        each = operations(checkpoint.config, tokens / max(texts, 1))
        assert each is not None
        return tokens * each / speed

    return seconds, "estimated"


def operations(config: Mapping[str, Any], length: float) -> float | None:
    """Floating-point operations of a forward pass a token, in texts of `length` tokens.

    A multiplication and an addition for each weight of attention (4 h^2) and feed-forward network (2 h i),
    and for each of the 2 h products with every other token, in every layer. None where the config does not
    say how large it is.
    """
    layers, width = _number(config, _LAYERS), _number(config, _WIDTH)
    if layers is None or width is None:
        return None
    inner = _number(config, _INNER) or 4 * width
    return 2.0 * layers * (4 * width**2 + 2 * width * inner + 2 * width * length)


def remember(cache: str | Path | None, card: ModelCard, device: str | None, tokens_per_second: float) -> None:
    """Keep a measured rate in `<cache>/models/rates.json`, by fingerprint and device, for `recall`.

    Args:
        device: where it was measured, as torch writes it; None: the card's.

    A rate that is no positive number, or that cannot be written, is not kept: it is a convenience.
    """
    if card.fingerprint is None or not math.isfinite(tokens_per_second) or tokens_per_second <= 0:
        return
    path = _path(cache)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            content = _read(path)
            own = dict(_rates(content, card))
            own.pop(device or card.device, None)  # the latest stands last
            content[card.fingerprint] = {**own, device or card.device: round(float(tokens_per_second), 1)}
            write_atomic(path, json.dumps(content).encode())
    except OSError as error:
        _log.debug("the rate is not remembered: %s", error)


def recall(cache: str | Path | None, card: ModelCard, device: str | None = None) -> float | None:
    """Tokens a second of this model on a device (None: the card's), or None where nobody measured.

    For the device "auto" the latest rate of the model counts.
    """
    known = _rates(_read(_path(cache)), card)
    where = device or card.device
    if where == "auto" and known:
        where = list(known)[-1]
    return known.get(where)


def _path(cache: str | Path | None) -> Path:
    return cache_folder(cache) / "models" / "rates.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _rates(content: Mapping[str, Any], card: ModelCard) -> dict[str, float]:
    own = content.get(card.fingerprint or "")
    if not isinstance(own, dict):
        return {}
    return {device: float(rate) for device, rate in own.items() if isinstance(rate, int | float) and rate > 0}


def _checkpoint(model: Any) -> Checkpoint | None:
    """The description of the checkpoint behind a model of ours; None for plugins and baselines."""
    found = getattr(model, "checkpoint", None) or getattr(getattr(model, "_source", None), "checkpoint", None)
    return found if isinstance(found, Checkpoint) else None


def _number(config: Mapping[str, Any], names: Sequence[str]) -> int | None:
    return next((config[name] for name in names if isinstance(config.get(name), int)), None)


def _gpu(card: ModelCard) -> float | None:
    """Operations a second of the card's GPU; None for a CPU. "auto" is settled without asking torch."""
    kind = card.device.partition(":")[0]
    if kind == "auto":
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
        apple = platform.system() == "Darwin" and platform.machine() == "arm64"
        kind = "cuda" if _NVIDIA.exists() and not hidden else "mps" if apple else "cpu"
    return _GPU[kind][card.dtype != "float32"] if kind in _GPU else None


def _matrix_rate() -> float:
    """Operations a second of a float32 matrix product on this machine's CPU, measured in 0.2 s."""
    matrix = np.ones((_MATRIX, _MATRIX), dtype=np.float32)
    best, begun = math.inf, time.perf_counter()
    for _ in range(8):
        start = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - begun > 0.2:
            break
    return 2.0 * _MATRIX**3 / best
