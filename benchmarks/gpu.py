"""The same measures on a GPU, at base size (12 layers x 768, random weights), both sides in one precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import checkpoints, contest, forward, inputs
from benchmarks.process import BenchError
from benchmarks.rows import Found, reranking
from benchmarks.synthetic import synthetic

NAMES = ("eval-cold", "forward", "rerank")
SIZE = {"layers": 12, "hidden": 768, "heads": 12}
NOTE = "random weights put vectors close together, and low precision reorders them; see --dtype float32"


def measure(
    names: Sequence[str],
    work: Path,
    *,
    device: str = "cuda",
    dtype: str = "bfloat16",
    runs: int = 3,
    scale: float = 10.0,
    queries: int = 300,
) -> Found:
    """Measure one row after another; see `benchmarks.rows.measure`.

    Args:
        scale: size of the synthetic tasks as a multiple of the real ones, which are taken at scale 1.

    Raises:
        BenchError: there is no such device.
    """
    check(device)
    tokenizer = _tokenizer(work / "tokenizer")
    model = checkpoints.random_bert(work / "base", tokenizer, **SIZE)
    data, what = _data(work / "data", tokenizer, scale)
    common = {"device": device, "peer_dtype": dtype}
    if "eval-cold" in names:
        setup = contest.Setup(str(model), model, data, work / "six", runs, **common)
        found = contest.contest(setup, inputs.SIX, [dtype, "mteb"])
        row = contest.row(f"six tasks ({what}), 12 x 768, cold store, {dtype}", found, dtype)
        yield [row if dtype == "float32" else replace(row, notes=[NOTE])], []
    if "forward" in names:
        corpus = data / "SciFact" / "test.corpus.jsonl"
        options = {"dtype": dtype, "device": device, "runs": runs}
        yield [forward.measured(str(model), model, corpus, **options)], []
    if "rerank" in names:
        cross = checkpoints.random_bert(work / "cross", tokenizer, labels=1, **SIZE)
        setup = contest.Setup(str(cross), cross, data, work / "rerank", runs, cross=True, **common)
        yield [reranking(setup, work / "rerank-data", queries, "12 x 768", dtype)], []


def check(device: str) -> None:
    """Raise BenchError where torch cannot use the device."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BenchError("no CUDA device: this measure needs one; `make bench` measures the processor")


def machine(device: str) -> str:
    """Name of the device."""
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _tokenizer(folder: Path) -> Path:
    try:
        return checkpoints.minilm_folder()
    except BenchError:
        return checkpoints.made_tokenizer(folder)


def _data(folder: Path, tokenizer: Path, scale: float) -> tuple[Path, str]:
    """The real tasks where they are, else synthetic ones."""
    if scale == 1:
        try:
            return inputs.six_tasks(inputs.shared_data(), folder), "real"
        except BenchError:
            contest.say("no real task data: synthetic texts instead")
    words = checkpoints.vocabulary_words(tokenizer)
    return synthetic(words, folder, scale), f"synthetic, {scale:g} x the real sizes"
