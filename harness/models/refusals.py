"""What a checkpoint is refused for: tensors that do not fit, numbers that are none, code from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ModelError
from harness.models.checkpoint import Checkpoint
from harness.models.weights import read_json


def refuse_differences(
    report: Mapping[str, Any], checkpoint: Checkpoint, may_miss: tuple[str, ...], may_be_left: tuple[str, ...]
) -> None:
    """Raise ModelError over a load report, unless every name in it has one of the prefixes allowed.

    Args:
        report: `missing_keys`, `unexpected_keys`, `mismatched_keys` (name, stored and due shape) and
            `error_msgs`, as transformers gives them.
    """

    def among(name: str, prefixes: tuple[str, ...]) -> bool:
        # The prefix of the base model ("bert.") stands in front or does not.
        return name.startswith(prefixes) or name.partition(".")[2].startswith(prefixes)

    missing = sorted(n for n in report["missing_keys"] if not among(n, may_miss))
    unexpected = sorted(n for n in report["unexpected_keys"] if not among(n, may_be_left))
    shapes = sorted(f"{n} {list(stored)}, not {list(due)}" for n, stored, due in report["mismatched_keys"])
    found = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    if any(found.values()) or report["error_msgs"]:
        parts = [f"{len(names)} {what}: {some(names)}" for what, names in found.items() if names]
        own = "auto_map" in checkpoint.config and not checkpoint.jina_bert
        code = "\nits config.json names code of its own (auto_map)" if own else ""
        family = "JinaBERT" if checkpoint.jina_bert else repr(checkpoint.config.get("model_type"))
        raise ModelError(
            f"{checkpoint.folder} does not fit {family}: tensors "
            f"{'; '.join(parts) or report['error_msgs']}{code}"
        )


def refuse_non_finite(tensors: Iterator[tuple[str, Any]], where: Path) -> None:
    """Raise ModelError naming the first tensor that holds NaN or infinity."""
    import torch

    for name, tensor in tensors:
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{where}: tensor {name!r} holds NaN or infinity (as {tensor.dtype})")


def refuse_code_elsewhere(file: Path, trusted: bool) -> None:
    """A pinned revision pins the code beside it, not that of another repository (`org/name--file.Class`)."""
    named = read_json(file, {}).get("auto_map") if trusted else None
    if "--" in str(named):
        raise ModelError(
            f"{file}: its auto_map takes code from another repository, which the revision does not pin\n"
            "put that repository's *.py files beside it and leave out what stands before '--'"
        )


def some(names: Sequence[str]) -> str:
    """The first four, and how many more there are."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
