"""From token vectors to one vector: the modules that sentence-transformers puts behind a transformer.

Same results as sentence_transformers' Pooling, Dense, LayerNorm and Normalize, which are the oracle in the
tests; importing them costs more than a second at each start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.errors import ModelError
from harness.models.checkpoint import Checkpoint, Step, pooling_modes
from harness.models.weights import read_tensors

Apply = Callable[[Any, Any], Any]


def open_steps(checkpoint: Checkpoint, steps: Sequence[Step], dtype: str, device: Any) -> Apply:
    """The steps as one function of token vectors [b, t, h] and mask [b, t] (1: counts), giving [b, dim].

    Raises:
        ModelError: a step's weights are missing, of another shape or not finite.
    """
    applied = [_open(checkpoint, step, dtype, device) for step in steps if step.kind != "Dropout"]

    def apply(hidden: Any, mask: Any) -> Any:
        for step in applied:
            hidden = step(hidden, mask)
        return hidden

    return apply


def output_dim(steps: Sequence[Step], hidden: int) -> int:
    """Length of the vectors that come out of the steps when token vectors have length `hidden`."""
    for step in steps:
        if step.kind == "Pooling":
            hidden *= len(pooling_modes(step))
        elif step.kind == "Dense":
            hidden = int(step.config["out_features"])
    return hidden


def pool(hidden: Any, mask: Any, modes: Sequence[str]) -> Any:
    """Token vectors [b, t, h] pooled under mask [b, t]: float [b, h * len(modes)], sums in float32."""
    import torch

    weights = mask.unsqueeze(-1).to(hidden.dtype)
    count = weights.float().sum(dim=1).clamp(min=1e-9)

    def one(mode: str) -> Any:
        if mode == "cls":
            first = mask.to(torch.int32).argmax(dim=1)
            return hidden[torch.arange(len(hidden), device=hidden.device), first]
        if mode == "lasttoken":
            places = torch.arange(mask.shape[1], device=mask.device)
            return hidden[torch.arange(len(hidden), device=hidden.device), (mask * places).argmax(dim=1)]
        if mode == "max":
            return hidden.masked_fill(weights == 0, float("-inf")).max(dim=1).values
        if mode == "weightedmean":
            places = torch.arange(1, mask.shape[1] + 1, device=mask.device, dtype=torch.float32)
            scaled = weights.float() * places.view(1, -1, 1)
            return ((hidden * scaled).sum(dim=1) / scaled.sum(dim=1).clamp(min=1e-9)).to(hidden.dtype)
        total = (hidden * weights).sum(dim=1, dtype=torch.float32)
        return (total / (count if mode == "mean" else count.sqrt())).to(hidden.dtype)

    return torch.cat([one(mode) for mode in modes], dim=-1)


def _open(checkpoint: Checkpoint, step: Step, dtype: str, device: Any) -> Apply:
    import torch
    from torch.nn import functional

    if step.kind == "Pooling":
        modes = pooling_modes(step)
        return lambda hidden, mask: pool(hidden, mask, modes)
    if step.kind == "Normalize":
        return lambda vectors, _: functional.normalize(vectors, p=2, dim=-1)
    module: Any
    if step.kind == "LayerNorm":
        width = int(step.config["dimension"])
        module = torch.nn.Module()
        module.norm = torch.nn.LayerNorm(width)
        _fill(module, checkpoint, step, dtype, device)
        return lambda vectors, _: module.norm(vectors)
    ends = {step.config.get(f"module_{end}_name") for end in ("input", "output")}
    if step.config.get("use_residual") or len(ends - {None, "sentence_embedding"}) > 0:
        raise ModelError(
            f"{checkpoint.folder / step.path}: only a plain Dense behind the pooling can be loaded"
        )
    module = torch.nn.Module()
    module.linear = torch.nn.Linear(
        int(step.config["in_features"]),
        int(step.config["out_features"]),
        bias=bool(step.config.get("bias", True)),
    )
    _fill(module, checkpoint, step, dtype, device)
    activation = torch_activation(step.config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    return lambda vectors, _: activation(module.linear(vectors))


def torch_activation(path: str) -> Any:
    """An activation named by its dotted path in torch.nn, as sentence-transformers stores it.

    Raises:
        ModelError: it is not one of torch.nn's; code from elsewhere is never imported.
    """
    import torch

    found = getattr(torch.nn, path.rpartition(".")[2], None)
    if not path.startswith("torch.nn.") or not isinstance(found, type):
        raise ModelError(f"activation {path!r} is not one of torch.nn's; it cannot be loaded")
    return found()


def _fill(module: Any, checkpoint: Checkpoint, step: Step, dtype: str, device: Any) -> None:
    """Load a step's weights into `module`, every tensor exactly, and move it."""
    import torch

    from harness.models.refusals import refuse_non_finite

    where = checkpoint.folder / step.path
    tensors = _read(checkpoint, step)
    due = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != due:
        raise ModelError(f"{where}: tensors {found} where {due} are needed")
    module.load_state_dict(tensors)
    module.to(device=device, dtype=getattr(torch, dtype)).eval().requires_grad_(False)
    refuse_non_finite(module.named_parameters(), where)


def _read(checkpoint: Checkpoint, step: Step) -> Mapping[str, Any]:
    from safetensors import SafetensorError

    where = checkpoint.folder / step.path
    try:
        return {name: t for path in checkpoint.weights_in(step.path) for name, t in read_tensors(path)}
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"{where}: its weights cannot be read ({error})") from error
