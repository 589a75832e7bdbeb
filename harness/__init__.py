"""Scores embedding and reranking models on MTEB, C-MTEB and JMTEB; everything public is named here."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "HarnessError": "harness.errors",
    "ModelCard": "harness.models.base",
    "Pairs": "harness.types",
    "Result": "harness.types",
    "Scores": "harness.types",
    "Store": "harness.store",
    "Texts": "harness.types",
    "Vectors": "harness.types",
    "evaluate": "harness.run",
    "leaderboard": "harness.report",
    "load_model": "harness.models",
    "load_suite": "harness.suite",
    "load_task": "harness.suite",
    "models": "harness.models",
}

__all__ = sorted([*_EXPORTS, "__version__"])
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import harness` stays cheap."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    module = import_module(_EXPORTS[name])
    return module if name == "models" else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
