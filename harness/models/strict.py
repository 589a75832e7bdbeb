"""Strict loading: a checkpoint becomes exactly the model it declares, or an error.

transformers fills tensors that it cannot find with random numbers and says so in a report that nobody
reads: that is checked here, and the dtype is never left to the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, ModelError
from harness.models.checkpoint import Checkpoint
from harness.models.quiet import quiet
from harness.models.refusals import (
    first_line,
    refuse_code_elsewhere,
    refuse_differences,
    refuse_non_finite,
    some,
)
from harness.models.remap import open_remapped
from harness.models.weights import read_tensors

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
        ModelError: a file of weights is damaged; tensors are missing, left over, of another shape or not
            finite; or nothing here can build the architecture without the checkpoint's own code.
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
    refuse_code_elsewhere(where / "config.json", trust_remote_code and not checkpoint.layout)
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
        if isinstance(error, SafetensorError):
            _refuse_damaged(checkpoint.weights_in(checkpoint.root))
        code = "; it names code of its own (auto_map)" if "auto_map" in checkpoint.config else ""
        raise ModelError(f"{where} cannot be loaded as {name}{code}: {first_line(error)}") from error
    allowed = _HARMLESS if classifier else (*_HARMLESS, *_UNUSED_BY_ENCODERS)
    if checkpoint.config.get("model_type") in _ENCODERS:
        allowed = (*allowed, "decoder.", "lm_head.")
    refuse_differences(report, checkpoint, allowed, (*allowed, *unused_tensors))
    refuse_non_finite(chain(model.named_parameters(), model.named_buffers()), where)
    _refuse_unsaved_buffers(model, where)
    return model.to(device).eval().requires_grad_(False)


def _refuse_damaged(files: Sequence[Path]) -> None:
    """Name the weight file that safetensors cannot open. Raises ModelError."""
    from safetensors import SafetensorError

    for file in files:
        try:
            next(read_tensors(file), None)
        except SafetensorError as error:
            raise ModelError(
                f"{file}: its weights cannot be read ({error})\nfetch or write the file anew"
            ) from error


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
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        raise ConfigError(
            f"device {name!r} cannot be used: {first_line(error)[:120]}\n"
            f"this machine has: {', '.join(_devices())}"
        ) from error
    return device


def _devices() -> list[str]:
    """The devices that torch finds here."""
    import torch

    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]


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
            f"{where}: its code keeps buffers out of the checkpoint, which come up empty: {some(lost)}"
        )
