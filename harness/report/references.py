"""`python -m harness.report.references FROM TO`: keep results as references, free of what varies by run."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from harness.store import Store
from harness.store.files import META

VOLATILE = ("seconds", "encode_seconds", "device", "texts_encoded")


def keep(source: Path, target: Path) -> int:
    """Copy every result of one store into another without seconds and device; the number of results.

    What is known of the models comes along: a leaderboard shows their sizes and licences.
    """
    origin, kept = Store(source), Store(target)
    count = 0
    for result in origin.results():
        provenance = {name: value for name, value in result.provenance.items() if name not in VOLATILE}
        kept.put(replace(result, provenance=provenance, samples=origin.samples(result)))
        count += 1
    for meta in sorted(source.glob(f"*/*/{META}")):
        copy = target / meta.relative_to(source)
        copy.write_bytes(meta.read_bytes())
    return count


if __name__ == "__main__":
    sys.stderr.write(f"{keep(Path(sys.argv[1]), Path(sys.argv[2]))} results kept in {sys.argv[2]}\n")
