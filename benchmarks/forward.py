"""The forward pass: floating-point operations of the unpadded tokens a second, against a large matmul.

python -m benchmarks.forward MODEL --folder DIR --data DIR

One process: a matmul of 4096 x 4096 x 4096, the documents through the engine with an empty store in memory,
the matmul again. Loading the weights is left out, tokenising is not. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contest import hidden
from benchmarks.inputs import document_texts, read_rows
from benchmarks.process import module, run
from benchmarks.table import Row

SIDE = 4096
WARM_UP = 64


def measured(
    model: str, folder: Path, corpus: Path, *, dtype: str, device: str, runs: int, limit: int | None = None
) -> Row:
    """The row of one precision, in a process of its own."""
    extra = ["--limit", str(limit)] if limit else []
    places = ["--folder", folder, "--corpus", corpus]
    settings = ["--dtype", dtype, "--device", device, "--runs", str(runs)]
    done = run(module("benchmarks.forward", model, *places, *settings, *extra), hidden(device))
    found = json.loads(done.stdout)
    what = f"{found['texts']:,} documents, {found['tokens']:,} tokens"
    return Row(
        f"forward pass, {dtype}: {what}; peer: matmul {SIDE}^3",
        [found["operations"] / seconds / 1e9 for seconds in found["seconds"]],
        [rate / 1e9 for rate in found["matmul"]],
        unit="GFLOP/s",
        better="share",
        target="65 %",
        memory=[done.memory],
    )


def operations(lengths: Sequence[int], layers: int, hidden: int, intermediate: int) -> int:
    """Floating-point operations of an encoder over texts of these lengths in tokens, nothing padded.

    A layer takes 2 T (4 H^2 + 2 H I) for its matrices and 4 L^2 H for the attention of each text.
    """
    tokens, squares = sum(lengths), sum(length * length for length in lengths)
    matrices = 2 * tokens * (4 * hidden**2 + 2 * hidden * intermediate)
    return layers * (matrices + 4 * squares * hidden)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    from harness.models import load_model

    texts = sorted(set(document_texts(read_rows(args.corpus)[: args.limit])))
    model = load_model(args.model, dtype=args.dtype, device=args.device)
    lengths = token_counts(args.folder, texts, model.card.max_length)
    config = json.loads((args.folder / "config.json").read_text(encoding="utf-8"))
    work = operations(
        lengths, config["num_hidden_layers"], config["hidden_size"], config["intermediate_size"]
    )
    encode(model, texts[:WARM_UP])
    rates, seconds = [matmul_rate(args.dtype, args.device)], []
    for _ in range(args.runs):
        seconds.append(encode(model, texts))
        rates.append(matmul_rate(args.dtype, args.device))
    found = {"texts": len(texts), "tokens": sum(lengths), "operations": work}
    print(json.dumps({**found, "seconds": seconds, "matmul": rates}))


def encode(model: Any, texts: Sequence[str]) -> float:
    """Seconds that the engine takes to turn texts into vectors, nothing stored before."""
    from harness.engine.encode import embed
    from harness.engine.vectors import VectorStore
    from harness.types import Texts

    started = time.perf_counter()
    embed(model, [Texts(texts, role="document")], VectorStore(None))
    return time.perf_counter() - started


def token_counts(folder: Path, texts: Sequence[str], max_length: int | None) -> list[int]:
    """Tokens of each text after truncation, special tokens included."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    counts = [len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts))]
    return [min(count, max_length or count) for count in counts]


def matmul_rate(dtype: str, device: str) -> float:
    """Floating-point operations a second of a product of two 4096 x 4096 matrices; median of half a dozen."""
    import torch

    a, b = (torch.randn(SIDE, SIDE, device=device).to(getattr(torch, dtype)) for _ in range(2))
    often = 1 if device == "cpu" else 50
    times = []
    for _ in range(7):
        started = time.perf_counter()
        for _ in range(often):
            product = a @ b
        float(product[0, 0])  # waits for the device
        times.append((time.perf_counter() - started) / often)
    return 2 * SIDE**3 / statistics.median(times[1:])


if __name__ == "__main__":
    main()
