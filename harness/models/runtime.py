"""A loaded checkpoint, and tokens sent through it in token-budget batches."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import ModelError
from harness.models.base import Options, Say
from harness.models.batching import Pace, batch_end, padded_widths
from harness.models.fused import fuse
from harness.models.resolve import Source
from harness.models.strict import open_model, open_tokenizer, pick_device
from harness.models.tokens import Tokens, lower_case, pad
from harness.types import Float32, Int64

# Padded tokens a batch to choose from: small ones fit the caches of a CPU, large ones fill a GPU.
CPU_TOKENS, GPU_TOKENS = (1024, 2048, 4096), (16384, 32768, 65536)
# Tokens that a batch must have on a CPU for its rows' bits not to depend on their number (measured).
LEAST, LEAST_FUSED = 256, 16


@dataclass(frozen=True)
class Runtime:
    """Tokenizer and transformer on a device, the names of what its forward takes, and its pace."""

    tokenizer: Any
    model: Any
    device: Any
    takes: frozenset[str]
    max_length: int | None
    pace: Pace
    least: int

    @property
    def on_cpu(self) -> bool:
        """Whether widths are a function of the text alone (see `harness.models.batching`)."""
        return bool(self.device.type == "cpu")


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
    fused = cpu and dtype != "float16" and fuse(model)
    budgets = [options.batch_tokens] if options.batch_tokens else list(CPU_TOKENS if cpu else GPU_TOKENS)
    return Runtime(
        tokenizer,
        model,
        device,
        takes=frozenset(inspect.signature(model.forward).parameters),
        max_length=max_length,
        pace=Pace(budgets),
        least=(LEAST_FUSED if fused else LEAST) if cpu else 0,
    )


def run_batches(
    runtime: Runtime, tokens: Tokens, rows: Int64, answer: Callable[[Any, Any], Any], say: Say
) -> Float32:
    """Send texts (or pairs) through the model: float32 [len(rows), ...], in the order of `rows`.

    A batch that the memory does not hold is made again at half the budget, which then stays.

    Args:
        rows: int64, which of the texts.
        answer: from the model's output and the mask int64 [b, t] to a tensor [b, ...].
        say: called with one line when the budget is halved for the first time.

    Raises:
        ModelError: a single text does not fit into the memory.
    """
    import torch

    lengths = tokens.lengths[rows]
    widths = padded_widths(lengths) if runtime.on_cpu else np.maximum(lengths, 1)
    order = np.argsort(-widths, kind="stable")
    widths, sorted_rows = widths[order], rows[order]
    done: list[Any] = []
    start = 0
    with torch.inference_mode():
        while start < len(sorted_rows):
            stop = batch_end(widths, start, runtime.pace.budget, equal=runtime.on_cpu)
            batch, width = sorted_rows[start:stop], int(widths[start])
            try:
                done.append(_timed(runtime, tokens, batch, width, answer))
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                _halve(runtime, len(batch), width, say)
                continue
            start = stop
    if not done:
        return np.empty((0, 0), dtype=np.float32)
    answers = torch.cat(done).float().cpu().numpy()
    out = np.empty_like(answers)
    out[order] = answers
    return out


def _timed(runtime: Runtime, tokens: Tokens, batch: Int64, width: int, answer: Any) -> Any:
    if runtime.pace.settled:
        return _forward(runtime, tokens, batch, width, answer)
    _wait(runtime.device)
    started = time.perf_counter()
    result = _forward(runtime, tokens, batch, width, answer)
    _wait(runtime.device)
    runtime.pace.took(len(batch) * width, time.perf_counter() - started)
    return result


def _forward(runtime: Runtime, tokens: Tokens, batch: Int64, width: int, answer: Any) -> Any:
    # The last text is repeated until there are tokens enough; what is answered for it is dropped.
    filled = np.concatenate([batch, np.repeat(batch[-1:], max(0, -(-runtime.least // width) - len(batch)))])
    inputs, counted = pad(tokens, filled, width, runtime.tokenizer, runtime.device)
    output = runtime.model(**{key: value for key, value in inputs.items() if key in runtime.takes})
    return answer(output, counted)[: len(batch)]


def _halve(runtime: Runtime, texts: int, width: int, say: Say) -> None:
    """Go on with half the budget (of what was tried, where one text alone filled more)."""
    import torch

    if texts == 1:
        raise ModelError(
            f"one text of {width} tokens does not fit into the memory of {runtime.device}\n"
            f"cut texts with --max-length, or use a larger device"
        )
    before, told = runtime.pace.budget, runtime.pace.halved
    while runtime.pace.halve() // width >= texts:
        pass
    if runtime.device.type == "cuda":
        torch.cuda.empty_cache()
    if not told:
        say(f"out of memory with {before} tokens a batch: going on with smaller ones, same scores")


def _out_of_memory(error: Exception) -> bool:
    import torch

    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(w in str(error) for w in words)


def _wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
