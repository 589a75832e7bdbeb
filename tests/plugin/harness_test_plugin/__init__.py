"""A bi-encoder that another distribution brings along."""

from __future__ import annotations

import numpy as np

import harness as h


class PluginModel:
    """Vectors of character counts."""

    card = h.ModelCard(name="plugin/model", revision="abc123", kind="bi-encoder", prompts={"query": "q: "})

    def __init__(self, *, max_length: int = 100) -> None:
        self.max_length = max_length

    def encode(self, texts: h.Texts) -> np.ndarray:
        rows = [[len(text[: self.max_length]), text.count("a") + 1] for text in texts.items]
        return np.array(rows, dtype=np.float32)
