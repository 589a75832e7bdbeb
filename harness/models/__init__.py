"""Models: adapters behind one protocol, the catalog, and what makes a model the same model.

`load_model(name)` finds and loads one; `register(name)` adds one of your own (as does an entry point in the
group "harness.models").
"""

from __future__ import annotations

from typing import Any

from harness.registry import Registry

models = Registry("model", {}, group="harness.models")
register = models.register

__all__ = ["load_model", "models", "register"]


def __getattr__(name: str) -> Any:
    """Import `load_model` when it is first used: it brings numpy, and listing models must not."""
    if name == "load_model":
        from harness.models.load import load_model

        return load_model
    raise AttributeError(f"module 'harness.models' has no attribute {name!r}")
