"""Tiny random JinaBERT checkpoints in the published on-disk format, and the network in float64 numpy."""

from __future__ import annotations

import json
from math import erf
from pathlib import Path
from typing import Any

import numpy as np

from tests.models import tiny

CODE_BASES = {"EN": "jinaai/jina-bert-implementation", "CODE": "jinaai/jina-bert-v2-qk-post-norm"}
WORDS = ["the", "red", "planet", "sun", "moon", "is", "known", "你好", "世界", "天气", "東京"]


def checkpoint(
    folder: Path,
    *,
    layout: str = "EN",
    heads: int = 4,
    hidden: int = 64,
    layers: int = 2,
    inner: int = 40,
    prefix: str = "",
    normalize: bool = False,
    word_pieces: bool = False,
) -> Path:
    """Mean pooling; a tokenizer over raw Unicode in lower case, declared as a class that would differ.

    Args:
        word_pieces: BERT's tokenizer instead, as the English models have.
    """
    folder.mkdir(parents=True)
    size = tiny.word_pieces(folder) if word_pieces else _tokenizer(folder)
    code = CODE_BASES[layout]
    tiny.put(
        folder / "config.json",
        {
            "_name_or_path": code, "architectures": ["JinaBertForMaskedLM"], "model_type": "bert",
            "attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1, "classifier_dropout": None,
            "auto_map": {
                "AutoConfig": f"{code}--configuration_bert.JinaBertConfig",
                "AutoModel": f"{code}--modeling_bert.JinaBertModel",
                "AutoModelForMaskedLM": f"{code}--modeling_bert.JinaBertForMaskedLM",
            },
            "emb_pooler": "mean", "feed_forward_type": "geglu", "hidden_act": "gelu", "hidden_size": hidden,
            "initializer_range": 0.02, "intermediate_size": inner, "layer_norm_eps": 1e-12,
            "max_position_embeddings": 8192, "model_max_length": 8192, "num_attention_heads": heads,
            "num_hidden_layers": layers, "pad_token_id": 0, "position_embedding_type": "alibi",
            "torch_dtype": "float16", "type_vocab_size": 2, "use_cache": True, "vocab_size": size,
        },
    )  # fmt: skip
    kinds = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    rows = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "",
         "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]  # fmt: skip
    tiny.put(folder / "modules.json", rows)
    pooling = {"word_embedding_dimension": hidden, "pooling_mode_mean_tokens": True}
    tiny.put(folder / "1_Pooling/config.json", pooling)
    tiny.put(folder / "sentence_bert_config.json", {"max_seq_length": 8192, "do_lower_case": False})
    state = _weights(layout, size, hidden, layers, inner)
    tiny.store(folder, {prefix + name: tensor for name, tensor in state.items()})
    return folder


def token_ids(folder: Path, text: str) -> list[int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return list(tokenizer.encode(text).ids)


def reference(folder: Path, ids: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Token vectors [b, w, h] and their means [b, h], float64, of texts padded into one batch."""
    config = json.loads((folder / "config.json").read_text())
    w = {name.removeprefix("bert."): t.double().numpy() for name, t in tiny.tensors(folder).items()}
    heads, inner, eps = config["num_attention_heads"], config["intermediate_size"], config["layer_norm_eps"]
    code = any("up_gated_layer" in name for name in w)
    width = max(map(len, ids))
    padded = np.array([row + [0] * (width - len(row)) for row in ids])
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in ids])
    gelu = np.vectorize(lambda x: 0.5 * x * (1 + erf(x / 2**0.5)))

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + eps) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)

    def split(x: np.ndarray) -> np.ndarray:
        return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    distance = abs(np.arange(width)[:, None] - np.arange(width)[None, :])
    bias = -np.array(slopes_by_hand(heads))[:, None, None] * distance
    bias = np.where(mask[:, None, None, :] == 1, bias[None], -np.inf)
    h = norm(
        w["embeddings.word_embeddings.weight"][padded] + w["embeddings.token_type_embeddings.weight"][0],
        "embeddings.LayerNorm",
    )
    for i in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{i}."
        q, k, v = (linear(h, f"{at}attention.self.{name}") for name in ("query", "key", "value"))
        if code:
            q, k = norm(q, f"{at}attention.self.layer_norm_q"), norm(k, f"{at}attention.self.layer_norm_k")
        q, k, v = split(q), split(k), split(v)
        scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]) + bias
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        context = (weights / weights.sum(-1, keepdims=True)) @ v
        context = context.transpose(0, 2, 1, 3).reshape(h.shape)
        a = norm(linear(context, f"{at}attention.output.dense") + h, f"{at}attention.output.LayerNorm")
        if code:
            x = norm(h + a, f"{at}layer_norm_1")
            g = linear(x, f"{at}mlp.up_gated_layer")
            gated = g[..., :inner] * gelu(g[..., inner:])
            h = norm(linear(gated, f"{at}mlp.down_layer") + x, f"{at}layer_norm_2")
        else:
            g = linear(a, f"{at}mlp.gated_layers")
            gated = gelu(g[..., :inner]) * g[..., inner:]
            h = norm(linear(gated, f"{at}mlp.wo") + a, f"{at}mlp.layernorm")
    return h, (h * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)


def slopes_by_hand(heads: int) -> list[float]:
    eight = [2.0**-j for j in range(1, 9)]
    return {
        1: [2.0**-8],
        2: [2.0**-4, 2.0**-8],
        4: [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8],
        6: [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8, 2.0**-1, 2.0**-3],
        8: eight,
        12: [*eight, 2.0**-0.5, 2.0**-1.5, 2.0**-2.5, 2.0**-3.5],
    }[heads]


def _weights(layout: str, size: int, hidden: int, layers: int, inner: int) -> dict[str, Any]:
    """Tensors under the published names, pooler included."""
    import torch

    generator = torch.Generator().manual_seed(7)

    def normal(*shape: int, std: float) -> Any:
        return torch.randn(*shape, generator=generator) * std

    def affine(name: str, out: int, into: int) -> dict[str, Any]:
        return {
            f"{name}.weight": normal(out, into, std=into**-0.5),
            f"{name}.bias": normal(out, std=0.2),
        }

    def norm(name: str) -> dict[str, Any]:
        return {f"{name}.weight": 1 + normal(hidden, std=0.2), f"{name}.bias": normal(hidden, std=0.2)}

    state = {
        "embeddings.word_embeddings.weight": normal(size, hidden, std=1.0),
        "embeddings.token_type_embeddings.weight": normal(2, hidden, std=1.0),
        **norm("embeddings.LayerNorm"),
        **affine("pooler.dense", hidden, hidden),
    }
    for i in range(layers):
        at = f"encoder.layer.{i}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            state |= affine(f"{at}attention.{name}", hidden, hidden)
        state |= norm(f"{at}attention.output.LayerNorm")
        gated = normal(2 * inner, hidden, std=hidden**-0.5)
        if layout == "EN":
            state |= {f"{at}mlp.gated_layers.weight": gated, **affine(f"{at}mlp.wo", hidden, inner)}
            state |= norm(f"{at}mlp.layernorm")
        else:
            state |= {
                f"{at}mlp.up_gated_layer.weight": gated,
                **affine(f"{at}mlp.down_layer", hidden, inner),
            }
            for name in ("attention.self.layer_norm_q", "attention.self.layer_norm_k", "layer_norm_1",
                         "layer_norm_2"):  # fmt: skip
                state |= norm(at + name)
    return state


def _tokenizer(folder: Path) -> int:
    """BPE with merges over raw Unicode; returns the size of its vocabulary."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = sorted({*"abcdefghijklmnopqrstuvwxyz123.,?!", *"".join(WORDS), *"的晴れです好"})
    merges, made = [], list(letters)
    for word in WORDS:
        for end in range(2, len(word) + 1):
            if word[:end] not in made:
                merges.append((word[: end - 1], word[end - 1]))
                made.append(word[:end])
    vocabulary = {token: i for i, token in enumerate([*special, *made])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))
    tiny.put(folder / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    named = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>",
             "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}  # fmt: skip
    tiny.put(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "RobertaTokenizer", "model_max_length": 8192, "add_prefix_space": False, **named},
    )
    tiny.put(folder / "special_tokens_map.json", named)
    return len(vocabulary)
