"""Strict loading: a checkpoint becomes exactly the model it declares, or an error.

transformers fills tensors that it cannot find with random numbers and says so in a report that nobody
reads; it also rebuilds tokenizers from their class. Both are checked here, and the dtype is never left to
the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, MissingExtraError, ModelError
from harness.models.checkpoint import Checkpoint
from harness.models.identity import PROBES, piece_ids, raw_token_ids
from harness.models.quiet import quiet
from harness.models.remap import open_remapped
from harness.models.weights import read_json

_ENCODERS = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}
# A range, stored by old versions; and what no pooling here uses, though a classifier does.
_HARMLESS = ("embeddings.position_ids",)
_UNUSED_BY_ENCODERS = ("pooler.",)


def open_model(
    checkpoint: Checkpoint,
    *,
    classifier: bool,
    dtype: str,
    device: Any,
    trust_remote_code: bool = False,
    unused_tensors: Sequence[str] = (),
) -> Any:
    """The transformer of a checkpoint on `device`, in evaluation mode.

    Args:
        classifier: load the sequence classifier (cross-encoders), not the bare encoder.
        dtype: "float32", "bfloat16" or "float16", whatever the checkpoint was stored in.
        unused_tensors: prefixes of stored tensors that may be left over.

    Raises:
        ModelError: tensors are missing, left over, of another shape or not finite; or nothing here can
            build the architecture without the checkpoint's own code.
    """
    import torch
    import transformers
    from safetensors import SafetensorError

    if checkpoint.jina_bert:
        from harness.models.jina_bert import open_network

        if classifier:
            raise ModelError(f"{checkpoint.folder}: JinaBERT with a classifier on it cannot be loaded")
        return open_network(checkpoint, dtype=dtype, device=device, unused_tensors=unused_tensors)
    if checkpoint.layout == "rotary":
        from harness.models import rotary

        if classifier:
            raise ModelError(f"{checkpoint.folder}: rotary XLM-R with a classifier on it cannot be loaded")
        return rotary.open_network(checkpoint, dtype=dtype, device=device, unused_tensors=unused_tensors)
    name = _architecture(checkpoint, classifier)
    where = checkpoint.transformer
    _refuse_code_elsewhere(where / "config.json", trust_remote_code and not checkpoint.layout)
    try:
        with quiet():
            model, report = getattr(transformers, name).from_pretrained(
                None if checkpoint.layout else str(where),
                dtype=getattr(torch, dtype),
                **_given(checkpoint, trust_remote_code),
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        code = "; it names code of its own (auto_map)" if "auto_map" in checkpoint.config else ""
        raise ModelError(f"{where} cannot be loaded as {name}{code}: {_first_line(error)}") from error
    allowed = _HARMLESS if classifier else (*_HARMLESS, *_UNUSED_BY_ENCODERS)
    if checkpoint.config.get("model_type") in _ENCODERS:
        allowed = (*allowed, "decoder.", "lm_head.")
    refuse_differences(report, checkpoint, allowed, (*allowed, *unused_tensors))
    refuse_non_finite(chain(model.named_parameters(), model.named_buffers()), where)
    _refuse_unsaved_buffers(model, where)
    return model.to(device).eval().requires_grad_(False)


def open_tokenizer(
    folder: Path, tokenizer_type: str | None = None, *, trust_remote_code: bool = False
) -> Any:
    """The tokenizer in `folder`.

    Args:
        tokenizer_type: transformers' name of the class to build, where the declared one is wrong.

    Raises:
        ModelError: it cannot be built, or answers other ids than the folder's own tokenizer.json or, of
            XLM-R and T5 where there is none, SentencePiece model.
        MissingExtraError: a library that it needs is not installed.
    """
    from transformers import AutoTokenizer

    kind = {"tokenizer_type": tokenizer_type} if tokenizer_type else {}
    _refuse_code_elsewhere(folder / "tokenizer_config.json", trust_remote_code)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                str(folder), trust_remote_code=trust_remote_code, local_files_only=True, **kind
            )
    except ImportError as error:
        raise MissingExtraError(
            f"the tokenizer in {folder} needs another library: {_first_line(error)}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the tokenizer in {folder} cannot be built: {_first_line(error)}") from error
    name = type(tokenizer).__name__
    raw = (folder / "tokenizer.json").is_file()
    file, due = ("tokenizer.json", raw_token_ids(folder)) if raw else piece_ids(folder, name)
    if due:
        with quiet():
            built = tokenizer(list(PROBES), add_special_tokens=raw)["input_ids"]
        for text, ours, theirs in zip(PROBES, built, due, strict=True):
            if list(ours) != theirs:
                raise ModelError(
                    f"{folder}: {name}, as transformers builds it, disagrees with {file}\n"
                    f"on {text!r}: {list(ours)[:12]} instead of {theirs[:12]}"
                )
    return tokenizer


def pick_device(name: str) -> Any:
    """The torch device called `name`; "auto" takes a GPU where there is one.

    Raises:
        ConfigError: a name torch does not know, or a device that is not there.
    """
    import torch

    if name == "auto":
        mps = torch.backends.mps.is_available()
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"device {name!r} cannot be used: {_first_line(error)}") from error
    return device


def refuse_non_finite(tensors: Iterator[tuple[str, Any]], where: Path) -> None:
    """Raise ModelError naming the first tensor that holds NaN or infinity."""
    import torch

    for name, tensor in tensors:
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{where}: tensor {name!r} holds NaN or infinity (as {tensor.dtype})")


def _given(checkpoint: Checkpoint, trust_remote_code: bool) -> dict[str, Any]:
    """Where the tensors come from: the folder's own files, or these under XLM-R's names."""
    if checkpoint.layout:
        own = checkpoint.weights_in(checkpoint.root)
        return open_remapped(checkpoint.layout, checkpoint.config, checkpoint.transformer, own)
    return {
        "trust_remote_code": trust_remote_code,
        "local_files_only": True,
        "use_safetensors": not checkpoint.pickled,
    }


def _architecture(checkpoint: Checkpoint, classifier: bool) -> str:
    if checkpoint.layout == "luke" and classifier:
        raise ModelError(f"{checkpoint.folder}: a LUKE classifier cannot be loaded; its encoder can")
    if checkpoint.layout:
        return "XLMRobertaForSequenceClassification" if classifier else "XLMRobertaModel"
    if classifier:
        return "AutoModelForSequenceClassification"
    family = str(checkpoint.config.get("model_type"))
    if family in _ENCODERS:
        return _ENCODERS[family]
    if checkpoint.config.get("is_encoder_decoder"):
        raise ModelError(f"{checkpoint.folder}: the encoder of {family!r} cannot be loaded alone")
    return "AutoModel"


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
        parts = [f"{len(names)} {what}: {_some(names)}" for what, names in found.items() if names]
        own = "auto_map" in checkpoint.config and not checkpoint.jina_bert
        code = "\nits config.json names code of its own (auto_map)" if own else ""
        family = "JinaBERT" if checkpoint.jina_bert else repr(checkpoint.config.get("model_type"))
        raise ModelError(
            f"{checkpoint.folder} does not fit {family}: tensors "
            f"{'; '.join(parts) or report['error_msgs']}{code}"
        )


def _refuse_code_elsewhere(file: Path, trusted: bool) -> None:
    """A pinned revision pins the code beside it, not that of another repository (`org/name--file.Class`)."""
    named = read_json(file, {}).get("auto_map") if trusted else None
    if "--" in str(named):
        raise ModelError(
            f"{file}: its auto_map takes code from another repository, which the revision does not pin\n"
            "put that repository's *.py files beside it and leave out what stands before '--'"
        )


def _refuse_unsaved_buffers(model: Any, where: Path) -> None:
    """transformers 5 leaves buffers of custom code that no checkpoint holds uninitialised."""
    saved = set(model.state_dict())
    lost = sorted(
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        if type(module).__module__.startswith("transformers_modules.")
        for name, _ in module.named_buffers(recurse=False)
        if (f"{path}.{name}" if path else name) not in saved
    )
    if lost:
        raise ModelError(
            f"{where}: its code keeps buffers out of the checkpoint, which come up empty: {_some(lost)}"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
