"""A loaded checkpoint, and texts sent through it in token-budget batches."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.models.base import Options
from harness.models.batching import LEAST, token_batches
from harness.models.resolve import Source
from harness.models.strict import open_model, open_tokenizer, pick_device
from harness.models.tokens import lengths, lower_case, pad, tokenize

# Padded tokens a batch: small ones fit the caches of a CPU, large ones fill a GPU.
CPU_TOKENS, GPU_TOKENS = 1024, 16384


@dataclass(frozen=True)
class Runtime:
    """Tokenizer and transformer on a device, and the names of what its forward takes."""

    tokenizer: Any
    model: Any
    device: Any
    takes: frozenset[str]
    max_length: int | None
    batch_tokens: int
    least: int


def open_runtime(
    source: Source, options: Options, *, classifier: bool, dtype: str, max_length: int | None
) -> Runtime:
    """Read the weights of a source.

    Raises:
        ModelError: they do not fit the checkpoint's own description (see `harness.models.strict`).
        ConfigError: the device cannot be used.
    """
    checkpoint, row = source.checkpoint, source.row
    assert checkpoint is not None
    trust = options.trust_remote_code or bool(row and row.trust)
    device = pick_device(options.device)
    cpu = device.type == "cpu"
    tokenizer = open_tokenizer(
        checkpoint.transformer, row.tokenizer_type if row else None, trust_remote_code=trust
    )
    if checkpoint.bert.get("do_lower_case"):
        lower_case(tokenizer)
    model = open_model(
        checkpoint,
        classifier=classifier,
        dtype=dtype,
        device=device,
        trust_remote_code=trust,
        unused_tensors=row.unused_tensors if row else (),
    )
    return Runtime(
        tokenizer,
        model,
        device,
        takes=frozenset(inspect.signature(model.forward).parameters),
        max_length=max_length,
        batch_tokens=options.batch_tokens or (CPU_TOKENS if cpu else GPU_TOKENS),
        least=LEAST if cpu else 0,
    )


def run_batches(
    runtime: Runtime,
    left: Sequence[str],
    right: Sequence[str] | None,
    out: npt.NDArray[np.float32],
    answer: Callable[[Any, Any], Any],
) -> None:
    """Send texts (or pairs) through the model and put what `answer` makes of each batch into `out`.

    Args:
        out: float32 [n, ...], filled in the order given.
        answer: from the model's output and the mask int64 [b, t] to a tensor [b, ...].
    """
    import torch

    columns = tokenize(runtime.tokenizer, left, right, runtime.max_length)
    with torch.inference_mode():
        for rows, width in token_batches(lengths(columns), runtime.batch_tokens):
            inputs = pad(columns, rows, width, runtime.least, runtime.tokenizer, runtime.device)
            output = runtime.model(**{key: value for key, value in inputs.items() if key in runtime.takes})
            out[rows] = answer(output, inputs["attention_mask"])[: len(rows)].float().cpu().numpy()
