"""Linear layers on a CPU through oneDNN, weights laid out once, the activation computed in the same pass.

torch's own float32 linear goes to a BLAS that lays the weights out anew at each call, and whose last bits
depend on the number of rows. oneDNN's kernels, which torch's compiler uses for frozen weights, give a row
the same bits beside any number of others from two rows on (measured from 2 to 5,000 in float32; not so in
bfloat16), and keep the results of matrix product and GELU in the cache.
"""

from __future__ import annotations

from functools import cache
from typing import Any

# Networks whose code asks a linear layer for nothing but its output, with `intermediate` before `output`.
FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
_ROWS = 1024  # of a batch for which the weights are laid out; others are as fast


def fuse(model: Any) -> bool:
    """Replace the linear layers of a network's encoder in place; False where that cannot be done.

    Only for networks of `FAMILIES` on a CPU, and where this build of torch has the kernels.
    """
    import torch

    encoder = getattr(getattr(model, model.base_model_prefix, model), "encoder", None)
    if model.config.model_type not in FAMILIES or encoder is None or not _available():
        return False
    for layer in encoder.layer:
        _replace(layer)
        between = layer.intermediate
        if type(between.intermediate_act_fn).__name__ == "GELUActivation":
            between.dense.activation, between.intermediate_act_fn = "gelu", torch.nn.Identity()
    # In half precision the sums between the layers stay float32, as under torch's autocast: rounding them
    # after every layer is what moves a score most. The products alone are what half precision speeds up.
    model.float()
    return True


def _available() -> bool:
    import torch

    names = ("_reorder_linear_weight", "_linear_pointwise")
    return torch._C._has_mkldnn and all(hasattr(torch.ops.mkldnn, name) for name in names)


def _replace(parent: Any) -> None:
    import torch

    for name, child in list(parent.named_children()):
        if type(child) is torch.nn.Linear:
            setattr(parent, name, _fused_type()(child.weight.detach(), child.bias))
        else:
            _replace(child)


@cache
def _fused_type() -> Any:
    import torch

    class Fused(torch.nn.Module):
        def __init__(self, weight: Any, bias: Any) -> None:
            super().__init__()
            # No parameters: what converts the rest of the network leaves them as they are.
            self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
            self.bias = None if bias is None else bias.detach()
            self.activation = "none"

        def forward(self, rows: Any) -> Any:
            # The last argument chooses the exact GELU, by the error function.
            how = "none" if self.activation == "gelu" else ""
            return torch.ops.mkldnn._linear_pointwise(
                rows.to(self.weight.dtype), self.weight, self.bias, self.activation, [], how
            )

    return Fused
