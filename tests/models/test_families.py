"""Architectures of the catalog, tiny and random, against SentenceTransformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import ModelError
from harness.models.checkpoint import read_checkpoint
from harness.types import Texts
from tests.models import tiny
from tests.models.test_dense import oracle

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
SIZE: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "vocab_size": len(tiny.VOCABULARY), "pad_token_id": 0,
}  # fmt: skip
FAMILIES: dict[str, tuple[str, str, dict[str, Any], int | None]] = {
    "xlm-roberta": (
        "XLMRobertaConfig", "XLMRobertaModel", {**SIZE, "pad_token_id": 1, "max_position_embeddings": 34}, 32
    ),
    "mpnet": ("MPNetConfig", "MPNetModel", {**SIZE, "max_position_embeddings": 42}, 40),
    # A length that no multiple of 8 reaches without passing the last position.
    "mpnet-101": ("MPNetConfig", "MPNetModel", {**SIZE, "max_position_embeddings": 103}, 101),
    "modernbert": ("ModernBertConfig", "ModernBertModel", {**SIZE, "max_position_embeddings": 64}, 64),
    "t5": (
        "T5Config", "T5Model",
        {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2, "pad_token_id": 0,
         "vocab_size": len(tiny.VOCABULARY), "decoder_start_token_id": 0},
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_family(family: str, plain: Path, tmp_path: Path) -> None:
    import torch
    import transformers

    config_name, model_name, values, positions = FAMILIES[family]
    folder = tiny.copied(plain, tmp_path / family)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = getattr(transformers, model_name)(getattr(transformers, config_name)(**values))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder)
    tiny.change(folder / "config.json", architectures=[model_name])
    tiny.change(
        folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast", model_max_length=999
    )
    assert read_checkpoint(folder).positions == positions

    found = tiny.load(folder, tmp_path)
    assert found.card.max_length == (positions or 999)
    texts = ["the red planet", "mars", "", "東京都の天気", "sun " * 20]
    np.testing.assert_allclose(found.encode(Texts(texts)), oracle(folder, texts), atol=3e-6)
    assert np.isfinite(found.encode(Texts(["sun " * 200]))).all()


def test_half_of_an_encoder_decoder_is_refused(plain: Path, tmp_path: Path) -> None:
    folder = tiny.copied(plain, tmp_path / "m")
    tiny.change(folder / "config.json", model_type="bart", is_encoder_decoder=True)
    with pytest.raises(ModelError, match="encoder of 'bart' cannot be loaded alone"):
        tiny.load(folder, tmp_path).encode(Texts(["a"]))
