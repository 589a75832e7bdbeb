"""JMTEB's two classifiers on a whole train set, as the scorer runs them and as scikit-learn does.

python -m benchmarks.jmteb_classifiers --train 200000 --dim 768 --labels 5 --asked 5000

Vectors are made up: centres of the labels with noise, so that a tenth or so of the rows is got wrong. Prints
JSON: seconds of each part, the peak of resident memory, and how many predictions differ between both sides.
The reference's nearest neighbours are left out with --no-peer: they take gigabytes.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.kinds import jmteb_classification as kind
from harness.kinds._labelled import independent_fits
from harness.types import Float32, Int64, Vectors


def made(rows: int, dim: int, labels: int, seed: int) -> tuple[Float32, Int64]:
    """Vectors of unit length around the centres of their labels, and the labels."""
    centres = np.random.default_rng(0).normal(size=(labels, dim)).astype(np.float32) * np.float32(0.08)
    rng = np.random.default_rng(seed)
    own = rng.integers(0, labels, rows)
    out = rng.standard_normal((rows, dim), dtype=np.float32)
    for start in range(0, rows, 10_000):
        part = out[start : start + 10_000]
        part += centres[own[start : start + 10_000]]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return out, own


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call answers, and its seconds."""
    start = time.perf_counter()
    return call(), round(time.perf_counter() - start, 2)


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.jmteb_classifiers", description=__doc__)
    asked.add_argument("--train", type=int, default=200_000)
    asked.add_argument("--dim", type=int, default=768)
    asked.add_argument("--labels", type=int, default=5)
    asked.add_argument("--asked", type=int, default=5_000)
    asked.add_argument("--no-peer", action="store_true")
    args = asked.parse_args()
    rows, gold = made(args.train, args.dim, args.labels, 1)
    queries, true = made(args.asked, args.dim, args.labels, 2)
    found: dict[str, Any] = {"shape": [args.train, args.dim, args.labels, args.asked]}
    fits = {"logreg": kind.regression, "knn": kind.two_nearest}

    def tried(name: str) -> tuple[Int64, float]:
        return timed(lambda: fits[name](rows, gold)(Vectors.of(queries)))

    both, found["both s"] = timed(lambda: independent_fits(tried, list(fits)))
    for name, (predicted, seconds) in zip(fits, both, strict=True):
        found |= {f"{name} s": seconds, f"{name} accuracy": float((predicted == true).mean())}
    found["peak MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if not args.no_peer:
        from sklearn.linear_model import LogisticRegression
        from sklearn.neighbors import KNeighborsClassifier

        peers = {
            "logreg": LogisticRegression(),
            "knn": KNeighborsClassifier(2, metric="cosine", n_jobs=-1),
        }
        for (name, peer), (predicted, _) in zip(peers.items(), both, strict=True):
            theirs, seconds = timed(lambda peer=peer: peer.fit(rows, gold).predict(queries))
            found |= {f"scikit-learn's {name} s": seconds}
            found |= {f"{name} predictions that differ": int((theirs != predicted).sum())}
        found["peak MiB with scikit-learn's"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
