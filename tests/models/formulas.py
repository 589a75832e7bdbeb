"""Forward passes in float64, written from the papers' formulas: one text at a time, no padding, no masks.

`state` maps stored tensor names to float64 tensors, `ids` is int64 [t]; each gives token vectors [t, h].
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn.functional import gelu, relu, silu

State = dict[str, Any]


def bert(state: State, config: dict[str, Any], ids: Any, types: Any, *, offset: int, prefix: str = "") -> Any:
    """Devlin et al. 2019; with `offset` 2, Liu et al. 2019 (RoBERTa) and Conneau et al. 2020 (XLM-R)."""
    eps, heads = config["layer_norm_eps"], config["num_attention_heads"]
    e = f"{prefix}embeddings."
    x = (
        state[f"{e}word_embeddings.weight"][ids]
        + state[f"{e}position_embeddings.weight"][torch.arange(len(ids)) + offset]
        + state[f"{e}token_type_embeddings.weight"][types]
    )
    x = layer_norm(state, f"{e}LayerNorm", x, eps)
    for i in range(config["num_hidden_layers"]):
        p = f"{prefix}encoder.layer.{i}."
        q, k, v = (linear(state, f"{p}attention.self.{n}", x) for n in ("query", "key", "value"))
        seen = linear(state, f"{p}attention.output.dense", attention(q, k, v, heads))
        x = layer_norm(state, f"{p}attention.output.LayerNorm", seen + x, eps)
        wide = gelu(linear(state, f"{p}intermediate.dense", x))
        x = layer_norm(state, f"{p}output.LayerNorm", linear(state, f"{p}output.dense", wide) + x, eps)
    return x


def flash_xlm_roberta(state: State, config: dict[str, Any], ids: Any) -> Any:
    """XLM-R under the names of Jina's fused implementation: its own forward, nothing renamed."""
    eps, heads = config["layer_norm_eps"], config["num_attention_heads"]
    x = (
        state["roberta.embeddings.word_embeddings.weight"][ids]
        + state["roberta.embeddings.position_embeddings.weight"][torch.arange(len(ids)) + 2]
        + state["roberta.embeddings.token_type_embeddings.weight"][0]
    )
    x = layer_norm(state, "roberta.emb_ln", x, eps)
    for i in range(config["num_hidden_layers"]):
        p = f"roberta.encoder.layers.{i}."
        q, k, v = linear(state, f"{p}mixer.Wqkv", x).reshape(len(ids), 3, -1).unbind(1)
        x = layer_norm(
            state, f"{p}norm1", x + linear(state, f"{p}mixer.out_proj", attention(q, k, v, heads)), eps
        )
        wide = gelu(linear(state, f"{p}mlp.fc1", x))
        x = layer_norm(state, f"{p}norm2", x + linear(state, f"{p}mlp.fc2", wide), eps)
    return x


def rotary_xlm_roberta(state: State, config: dict[str, Any], ids: Any, adapter: int | None) -> Any:
    """Sturua et al. 2024 under Jina's names: XLM-R, queries and keys turned, W + alpha / r * B A everywhere.

    Of the tables' adapters A holds a row a token, so that the sum is W + alpha / r * A B.
    """
    eps, heads = config["layer_norm_eps"], config["num_attention_heads"]
    scale, theta = config["lora_alpha"] / config["lora_rank"], config["rotary_emb_base"]

    def weight(name: str, *, table: bool = False) -> Any:
        at = f"roberta.{name}.parametrizations.weight"
        if adapter is None:
            return state[f"{at}.original"]
        a, b = (state[f"{at}.0.lora_{side}"][adapter] for side in "AB")
        return state[f"{at}.original"] + scale * (a @ b if table else b @ a)

    def affine(name: str, x: Any) -> Any:
        return x @ weight(name).T + state[f"roberta.{name}.bias"]

    e = "embeddings"
    x = weight(f"{e}.word_embeddings", table=True)[ids] + weight(f"{e}.token_type_embeddings", table=True)[0]
    x = layer_norm(state, "roberta.emb_ln", x, eps)
    for i in range(config["num_hidden_layers"]):
        p = f"encoder.layers.{i}"
        q, k, v = affine(f"{p}.mixer.Wqkv", x).chunk(3, dim=-1)
        seen = attention(rotated(q, heads, theta), rotated(k, heads, theta), v, heads)
        x = layer_norm(state, f"roberta.{p}.norm1", x + affine(f"{p}.mixer.out_proj", seen), eps)
        wide = affine(f"{p}.mlp.fc2", gelu(affine(f"{p}.mlp.fc1", x)))
        x = layer_norm(state, f"roberta.{p}.norm2", x + wide, eps)
    return x


def classified(state: State, hidden: Any) -> Any:
    """RoBERTa's head on the first token, and the sigmoid of its one logit."""
    inner = torch.tanh(linear(state, "classifier.dense", hidden[0]))
    return torch.sigmoid(linear(state, "classifier.out_proj", inner))[0]


def mpnet(state: State, config: dict[str, Any], ids: Any) -> Any:
    """Song et al. 2020: BERT with positions from 2 on, no token types, and T5's biases in every layer."""
    eps, heads = config["layer_norm_eps"], config["num_attention_heads"]
    x = (
        state["embeddings.word_embeddings.weight"][ids]
        + state["embeddings.position_embeddings.weight"][torch.arange(len(ids)) + 2]
    )
    x = layer_norm(state, "embeddings.LayerNorm", x, eps)
    bias = relative_bias(state["encoder.relative_attention_bias.weight"], len(ids))
    for i in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        q, k, v = (linear(state, f"{p}attention.attn.{n}", x) for n in "qkv")
        seen = linear(state, f"{p}attention.attn.o", attention(q, k, v, heads, bias=bias))
        x = layer_norm(state, f"{p}attention.LayerNorm", seen + x, eps)
        wide = gelu(linear(state, f"{p}intermediate.dense", x))
        x = layer_norm(state, f"{p}output.LayerNorm", linear(state, f"{p}output.dense", wide) + x, eps)
    return x


def t5(state: State, config: dict[str, Any], ids: Any) -> Any:
    """Raffel et al. 2020, the encoder: norms first and without mean, no 1/sqrt(d), ReLU, no linear bias."""
    eps = config["layer_norm_epsilon"]
    x = state["shared.weight"][ids]
    bias = relative_bias(
        state["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"], len(ids)
    )
    for i in range(config["num_layers"]):
        p = f"encoder.block.{i}.layer."
        y = rms_norm(x, state[f"{p}0.layer_norm.weight"], eps)
        q, k, v = (linear(state, f"{p}0.SelfAttention.{n}", y) for n in "qkv")
        seen = attention(q, k, v, config["num_heads"], bias=bias, scale=1.0)
        x = x + linear(state, f"{p}0.SelfAttention.o", seen)
        y = rms_norm(x, state[f"{p}1.layer_norm.weight"], eps)
        inner = relu(linear(state, f"{p}1.DenseReluDense.wi", y))
        x = x + linear(state, f"{p}1.DenseReluDense.wo", inner)
    return rms_norm(x, state["encoder.final_layer_norm.weight"], eps)


def modernbert(state: State, config: dict[str, Any], ids: Any) -> Any:
    """Warner et al. 2024: rotary positions, every third layer global, others see half a window each way."""
    eps, heads = config["norm_eps"], config["num_attention_heads"]
    x = layer_norm(state, "embeddings.norm", state["embeddings.tok_embeddings.weight"][ids], eps)
    apart = (torch.arange(len(ids))[:, None] - torch.arange(len(ids))[None]).abs()
    window = torch.where(apart <= config["local_attention"] // 2, 0.0, -math.inf).double()
    for i in range(config["num_hidden_layers"]):
        p = f"layers.{i}."
        everywhere = i % config["global_attn_every_n_layers"] == 0
        theta = config["global_rope_theta" if everywhere else "local_rope_theta"]
        y = layer_norm(state, f"{p}attn_norm", x, eps) if i else x
        q, k, v = linear(state, f"{p}attn.Wqkv", y).chunk(3, dim=-1)
        q, k = rotated(q, heads, theta), rotated(k, heads, theta)
        seen = attention(q, k, v, heads, bias=0.0 if everywhere else window)
        x = x + linear(state, f"{p}attn.Wo", seen)
        inner, gate = linear(state, f"{p}mlp.Wi", layer_norm(state, f"{p}mlp_norm", x, eps)).chunk(2, dim=-1)
        x = x + linear(state, f"{p}mlp.Wo", gelu(inner) * gate)
    return layer_norm(state, "final_norm", x, eps)


def qwen3(state: State, config: dict[str, Any], ids: Any) -> Any:
    """Yang et al. 2025: causal, rotary, queries and keys normed a head, fewer keys than queries, SwiGLU."""
    eps, heads, few = config["rms_norm_eps"], config["num_attention_heads"], config["num_key_value_heads"]
    size, t = config["head_dim"], len(ids)
    x = state["embed_tokens.weight"][ids]
    causal = torch.full((t, t), -math.inf, dtype=torch.float64).triu(1)
    for i in range(config["num_hidden_layers"]):
        p = f"layers.{i}.self_attn."
        y = rms_norm(x, state[f"layers.{i}.input_layernorm.weight"], eps)
        q, k, v = (linear(state, f"{p}{n}_proj", y) for n in "qkv")
        q = rms_norm(q.view(t, heads, size), state[f"{p}q_norm.weight"], eps).reshape(t, -1)
        k = rms_norm(k.view(t, few, size), state[f"{p}k_norm.weight"], eps).reshape(t, -1)
        q, k = rotated(q, heads, config["rope_theta"]), rotated(k, few, config["rope_theta"])
        k, v = (s.view(t, few, size).repeat_interleave(heads // few, dim=1).reshape(t, -1) for s in (k, v))
        x = x + linear(state, f"{p}o_proj", attention(q, k, v, heads, bias=causal))
        y = rms_norm(x, state[f"layers.{i}.post_attention_layernorm.weight"], eps)
        gate, up = (linear(state, f"layers.{i}.mlp.{n}_proj", y) for n in ("gate", "up"))
        x = x + linear(state, f"layers.{i}.mlp.down_proj", silu(gate) * up)
    return rms_norm(x, state["norm.weight"], eps)


def attention(q: Any, k: Any, v: Any, heads: int, *, bias: Any = 0.0, scale: float | None = None) -> Any:
    """softmax(q k' * scale + bias) v a head, [t, h]; the scale is 1/sqrt(d) unless given."""
    q, k, v = (s.view(len(s), heads, -1).transpose(0, 1) for s in (q, k, v))
    weight = q @ k.transpose(1, 2) * (q.shape[-1] ** -0.5 if scale is None else scale) + bias
    weight = torch.exp(weight - weight.amax(-1, keepdim=True))
    return (weight / weight.sum(-1, keepdim=True) @ v).transpose(0, 1).reshape(q.shape[1], -1)


def relative_bias(table: Any, length: int, distance: int = 128) -> Any:
    """T5's biases [heads, t, t]: half of the buckets for what follows, half of each exact."""
    half = len(table) // 2
    exact = half // 2
    buckets = torch.zeros(length, length, dtype=torch.int64)
    for i in range(length):
        for j in range(length):
            far = abs(i - j)
            if far >= exact:
                steps = math.log(far / exact) / math.log(distance / exact) * (half - exact)
                far = min(exact + int(steps), half - 1)
            buckets[i, j] = far + (half if j > i else 0)
    return table[buckets].permute(2, 0, 1)


def rotated(x: Any, heads: int, theta: float) -> Any:
    """Su et al. 2021: dimension n and n + d/2 of a head turned by position * theta^(-2n/d)."""
    t = len(x)
    first, second = x.view(t, heads, 2, -1).unbind(2)
    half = first.shape[-1]
    angle = torch.arange(t).double()[:, None, None] * theta ** (-torch.arange(half).double() / half)
    turned = (first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin())
    return torch.stack(turned, dim=2).reshape(t, -1)


def linear(state: State, name: str, x: Any) -> Any:
    """With a bias where one is stored."""
    return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0.0)


def layer_norm(state: State, name: str, x: Any, eps: float) -> Any:
    """Ba et al. 2016, with a bias where one is stored."""
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / torch.sqrt(centred.square().mean(-1, keepdim=True) + eps)
    return scaled * state[f"{name}.weight"] + state.get(f"{name}.bias", 0.0)


def rms_norm(x: Any, weight: Any, eps: float) -> Any:
    """Zhang and Sennrich 2019."""
    return x / torch.sqrt(x.square().mean(-1, keepdim=True) + eps) * weight
