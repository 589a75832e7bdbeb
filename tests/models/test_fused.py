"""Packed batches through fused encoders against transformers' own forward, one text at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from harness.models.batching import Group, Mix, Queue
from harness.models.tokens import Tokens
from harness.types import Float32

SIZE: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": 50,
    "max_position_embeddings": 80,
    "type_vocab_size": 2,
    "num_labels": 1,
}
FAMILIES = {
    "Bert": {"pad_token_id": 0},
    "Roberta": {"pad_token_id": 1},
    "XLMRoberta": {"pad_token_id": 1},
    "Camembert": {"pad_token_id": 1},
    "Electra": {"pad_token_id": 0, "embedding_size": 32},
}
LENGTHS = [5, 2, 70, 33, 5, 5, 33, 1, 64, 2, 70]


def built(family: str, head: str = "Model", **changes: Any) -> Any:
    import torch
    import transformers

    config = getattr(transformers, f"{family}Config")(**{**SIZE, **FAMILIES.get(family, {}), **changes})
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = getattr(transformers, f"{family}{head}")(config).eval()
        for name, parameter in model.named_parameters():
            torch.nn.init.normal_(parameter, mean=float("LayerNorm.weight" in name), std=0.2)
    return model.requires_grad_(False)


def made_tokens(lengths: Sequence[int] = LENGTHS) -> Tokens:
    """Random ids; the padding token stands in the middle of some texts, as if it had been written out."""
    rng = np.random.default_rng(2)
    offsets = np.cumsum([0, *lengths])
    ids = rng.integers(0, 50, offsets[-1]).astype(np.int32)
    types = rng.integers(0, 2, offsets[-1]).astype(np.int32)
    return Tokens(ids, types, offsets, np.zeros(len(lengths), dtype=np.int64))


def alone(model: Any, tokens: Tokens, look: Any) -> Float32:
    """Each text by itself, without any padding, through transformers' forward."""
    import torch

    found = []
    for start, stop in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True):
        given = {"input_ids": tokens.ids[start:stop], "attention_mask": np.ones(stop - start)}
        if model.config.type_vocab_size > 1:
            assert tokens.types is not None
            given["token_type_ids"] = tokens.types[start:stop]
        output = model(**{name: torch.from_numpy(a.astype(np.int64))[None] for name, a in given.items()})
        found.append(look(output, torch.ones(1, int(stop - start))))
    return np.concatenate(found)


def packed(model: Any, fused: Any, tokens: Tokens, look: Any, budget: int = 90) -> Float32:
    """All texts in packed batches."""
    import torch

    from harness.models.packed import run_packed

    takes = frozenset(["input_ids", "position_ids", "token_type_ids"])
    queue, out = Queue(tokens.lengths, Mix.ANY), None
    while batch := queue.batch(budget):
        with torch.inference_mode():
            found = np.asarray(run_packed(model, fused, tokens, batch, takes, look).float())
        out = np.full((len(tokens), found.shape[1]), np.nan, dtype=np.float32) if out is None else out
        out[np.concatenate([group.places for group in batch])] = found
        queue.remove(batch)
    assert out is not None
    return out


def mean(output: Any, mask: Any) -> Any:
    return (output.last_hidden_state * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def first(output: Any, _: Any) -> Any:
    return output.last_hidden_state[:, 0]


def logits(output: Any, _: Any) -> Any:
    return output.logits


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("look", [mean, first, logits])
def test_equals_transformers(family: str, look: Any) -> None:
    import torch

    from harness.models.fused import fuse

    model = built(family, "ForSequenceClassification" if look is logits else "Model")
    tokens = made_tokens()
    assert {0, 1} <= set(tokens.ids.tolist())
    due = alone(model, tokens, look)
    assert len(np.unique(due[:, 0].round(4))) == len(LENGTHS)
    fused = fuse(model, first=look is not mean, dtype=torch.float32)
    for budget in (1, 90, 10_000):
        np.testing.assert_allclose(packed(model, fused, tokens, look, budget), due, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "gelu_new", "silu"])
def test_other_activations(activation: str) -> None:
    import torch

    from harness.models.fused import fuse

    model, tokens = built("Bert", hidden_act=activation), made_tokens()
    due = alone(model, tokens, mean)
    fused = fuse(model, first=False, dtype=torch.float32)
    np.testing.assert_allclose(packed(model, fused, tokens, mean), due, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("look", [mean, first])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bits_do_not_depend_on_the_batch(look: Any, dtype: str) -> None:
    """At a size at which oneDNN's bfloat16 kernels do divide the work by the number of rows."""
    import torch

    from harness.models.fused import fusable, fuse

    if not fusable({"model_type": "bert"}, getattr(torch, dtype)):
        pytest.skip(f"this processor has no kernels for {dtype}")
    wide = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 2, "num_attention_heads": 12}
    model = built("Bert", **wide)
    fused = fuse(model, first=look is first, dtype=getattr(torch, dtype))
    tokens = made_tokens([*LENGTHS, *range(1, 79, 3)] * 3)
    whole = packed(model, fused, tokens, look, 4096)
    assert len(whole) == len(tokens)
    for budget in (80, 500, 1000):
        np.testing.assert_array_equal(packed(model, fused, tokens, look, budget), whole)


def test_half_precision_is_near() -> None:
    import torch

    from harness.models.fused import fusable, fuse

    if not fusable({"model_type": "bert"}, torch.bfloat16):
        pytest.skip("this processor has no kernels for bfloat16")
    model, tokens = built("Bert"), made_tokens()
    due = alone(model, tokens, mean)
    found = packed(model, fuse(model, first=False, dtype=torch.bfloat16), tokens, mean)
    assert 1e-4 < np.abs(found - due).max() < 0.05 * np.abs(due).max()


def test_what_pooling_leaves_out_reaches_it() -> None:
    import torch

    from harness.models.fused import fuse

    tokens = made_tokens([6, 6, 9])
    skipping = Tokens(tokens.ids, tokens.types, tokens.offsets, np.array([0, 2, 3]))
    model = built("Bert")
    fused = fuse(model, first=False, dtype=torch.float32)
    masks = []
    packed(model, fused, skipping, lambda output, mask: masks.extend(mask.tolist()) or mean(output, mask))
    assert sorted(masks) == sorted([[1] * 6, [0, 0, 1, 1, 1, 1], [0, 0, 0, *[1] * 6]])


def test_only_plain_encoders_of_known_families(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from harness.models.fused import fusable

    assert fusable({"model_type": "bert"}, torch.float32)
    assert not fusable({"model_type": "bert"}, torch.float16)
    assert not fusable({"model_type": "mpnet"}, torch.float32)
    assert not fusable({}, torch.float32)
    for key in ("is_decoder", "add_cross_attention"):
        assert not fusable({"model_type": "bert", key: True}, torch.float32)
    assert not fusable({"model_type": "bert", "auto_map": {"AutoModel": "modeling.Own"}}, torch.float32)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert not fusable({"model_type": "bert"}, torch.bfloat16)
    assert fusable({"model_type": "bert"}, torch.float32)


def test_groups_name_places_of_the_tokens() -> None:
    """A batch may be any part of the texts, in any order."""
    import torch

    from harness.models.fused import fuse
    from harness.models.packed import run_packed

    model, tokens = built("Bert"), made_tokens()
    due = alone(model, tokens, mean)
    fused = fuse(model, first=False, dtype=torch.float32)
    batch = [Group(33, np.array([6])), Group(5, np.array([5, 0]))]
    with torch.inference_mode():
        found = run_packed(
            model, fused, tokens, batch, frozenset(["input_ids", "token_type_ids", "position_ids"]), mean
        )
    np.testing.assert_allclose(found, due[[6, 5, 0]], atol=1e-5, rtol=1e-5)
