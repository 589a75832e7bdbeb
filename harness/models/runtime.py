"""A loaded checkpoint, and tokens sent through it in token-budget batches."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import ModelError
from harness.models.base import Options, Say
from harness.models.batching import Group, Mix, Pace, Queue, padded_widths
from harness.models.resolve import Source
from harness.models.strict import open_model, pick_device
from harness.models.tokenizer import open_tokenizer
from harness.models.tokens import Tokens, lower_case, pad
from harness.types import Float32, Int64

if TYPE_CHECKING:
    from harness.models.fused import Fused

# Padded tokens a batch to choose from: small ones fit the caches of a CPU, large ones fill a GPU.
CPU_TOKENS, GPU_TOKENS = (1024, 2048, 4096), (16384, 32768, 65536)
# Tokens that a batch must have on a CPU for its rows' bits not to depend on their number (measured).
LEAST = 256


@dataclass(frozen=True)
class Runtime:
    """A tokenizer and a transformer on a device.

    Attributes:
        takes: names of what its forward takes.
        max_length: tokens kept of a text or pair.
        pace: the token budget of its batches.
        fused: what batches must keep to where the encoder is that of `harness.models.fused`.
    """

    tokenizer: Any
    model: Any
    device: Any
    takes: frozenset[str]
    max_length: int | None
    pace: Pace
    fused: Fused | None

    @property
    def on_cpu(self) -> bool:
        """Whether a vector's bits must not depend on its batch (see `harness.models.batching`)."""
        return bool(self.device.type == "cpu")

    @property
    def mix(self) -> Mix:
        """Which texts may share a batch."""
        if self.fused is not None:
            return Mix.ANY
        return Mix.EQUAL if self.on_cpu else Mix.NEIGHBOURS


def open_runtime(
    source: Source,
    options: Options,
    *,
    classifier: bool,
    first: bool,
    dtype: str,
    max_length: int | None,
) -> Runtime:
    """Read the weights of a source.

    Args:
        classifier: with the head that a cross-encoder has.
        first: only the first token of what comes out will be looked at.

    Raises:
        ModelError: they do not fit the checkpoint's own description (see `harness.models.strict`).
        ConfigError: the device cannot be used.
    """
    import torch

    checkpoint, row = source.checkpoint, source.row
    assert checkpoint is not None
    trust = options.trust_remote_code or bool(row and row.trust)
    device = pick_device(options.device)
    cpu = device.type == "cpu"
    # Activations of megabytes, given back and asked for again at every layer: with huge pages the kernel
    # hands them out in one piece instead of thousands (4 % of the forward pass). Read at the first tensor.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    tokenizer = open_tokenizer(checkpoint.transformer, source.tokenizer_type, trust_remote_code=trust)
    if checkpoint.bert.get("do_lower_case"):
        lower_case(tokenizer)
    fuses = False
    if cpu:
        from harness.models.fused import fusable, fuse

        fuses = checkpoint.layout != "rotary" and fusable(checkpoint.network, getattr(torch, dtype))
    model = open_model(
        checkpoint,
        classifier=classifier,
        dtype="float32" if fuses else dtype,
        device=device,
        trust_remote_code=trust,
        unused_tensors=row.unused_tensors if row else (),
    )
    takes = frozenset(inspect.signature(model.forward).parameters)
    # A network of this program was made so from the start.
    fused = fuse(model, first=first, dtype=getattr(torch, dtype)) if fuses else getattr(model, "fused", None)
    least = fused.multiple if fused else 1
    offered = [options.batch_tokens] if options.batch_tokens else CPU_TOKENS if cpu else GPU_TOKENS
    budgets = sorted({max(budget, least) for budget in offered})
    return Runtime(
        tokenizer,
        model,
        device,
        takes=takes,
        max_length=max_length,
        pace=Pace(budgets),
        fused=fused,
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

    lengths = np.maximum(tokens.lengths[rows], 1)
    widths = lengths
    if runtime.mix is Mix.EQUAL:  # no wider than there are positions
        widths = np.minimum(padded_widths(lengths), runtime.max_length or np.iinfo(np.int64).max)
    queue = Queue(widths, runtime.mix)
    done: list[Any] = []
    places: list[Int64] = []
    with torch.inference_mode():
        while batch := queue.batch(runtime.pace.budget):
            full = False
            try:
                done.append(_timed(runtime, tokens, [Group(g.width, rows[g.places]) for g in batch], answer))
            except (RuntimeError, MemoryError) as error:
                full = _out_of_memory(error)
                if not full:
                    raise
            if full:  # only here is what the failed batch held given back
                _halve(runtime, sum(len(group.places) for group in batch), batch[0].width, say)
                continue
            places.extend(group.places for group in batch)
            queue.remove(batch)
    if not done:
        return np.empty((0, 0), dtype=np.float32)
    answers = torch.cat(done).float().cpu().numpy()
    out = np.empty_like(answers)
    out[np.concatenate(places)] = answers
    return out


def _timed(runtime: Runtime, tokens: Tokens, batch: list[Group], answer: Any) -> Any:
    if runtime.pace.settled:
        return _forward(runtime, tokens, batch, answer)
    _wait(runtime.device)
    started = time.perf_counter()
    result = _forward(runtime, tokens, batch, answer)
    _wait(runtime.device)
    runtime.pace.took(sum(group.width * len(group.places) for group in batch), time.perf_counter() - started)
    return result


def _forward(runtime: Runtime, tokens: Tokens, batch: list[Group], answer: Any) -> Any:
    if runtime.fused is not None:
        from harness.models.packed import run_packed

        return run_packed(runtime.model, runtime.fused, tokens, batch, runtime.takes, answer)
    width, texts = batch[0].width, np.concatenate([group.places for group in batch])
    # The last text is repeated until there are tokens enough; what is answered for it is dropped.
    least = LEAST if runtime.on_cpu else 0
    filled = np.concatenate([texts, np.repeat(texts[-1:], max(0, -(-least // width) - len(texts)))])
    inputs, counted = pad(tokens, filled, width, runtime.tokenizer, runtime.device)
    output = runtime.model(**{key: value for key, value in inputs.items() if key in runtime.takes})
    return answer(output, counted)[: len(texts)]


def _halve(runtime: Runtime, texts: int, width: int, say: Say) -> None:
    """Go on with half the budget (of what was tried, where one text alone filled more)."""
    import torch

    if texts == 1:
        raise ModelError(
            f"one text of {width} tokens does not fit into the memory of {runtime.device}\n"
            f"cut texts with --max-length, or use a larger device"
        )
    if runtime.fused is not None and runtime.pace.budget <= runtime.fused.multiple:
        raise ModelError(
            f"a batch of {runtime.fused.multiple} tokens does not fit into the memory; none is smaller in "
            "this precision\nfree memory, or use --dtype float32"
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

    words = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")
    said = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in said for word in words)


def _wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
