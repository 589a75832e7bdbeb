"""Tiny random checkpoints of jina-embeddings-v3: as Jina published it, and as transformers stores it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from tests.models import made, tiny

ADAPTERS = ["retrieval.query", "retrieval.passage", "separation", "classification", "text-matching"]
RANK, ALPHA, THETA, POSITIONS = 4, 2, 300.0, 130
H, WIDE, LAYERS, HEADS = made.H, made.WIDE, made.LAYERS, made.HEADS
INSTRUCTIONS = {
    "retrieval.query": "query: the ", "retrieval.passage": "a passage: ", "separation": "",
    "classification": "", "text-matching": "",
}  # fmt: skip


def published(folder: Path, *, dtype: str = "bfloat16") -> Path:
    """Fused names, parametrised weights, all adapters in one tensor, code of its own named in config.json."""
    code = "jinaai/xlm-roberta-flash-implementation"
    config = {
        "_name_or_path": "jinaai/jina-embeddings-v3", "architectures": ["XLMRobertaLoRA"],
        "auto_map": {
            "AutoConfig": f"{code}--configuration_xlm_roberta.XLMRobertaFlashConfig",
            "AutoModel": f"{code}--modeling_lora.XLMRobertaLoRA",
        },
        "model_type": "xlm-roberta", "position_embedding_type": "rotary", "rotary_emb_base": THETA,
        "lora_adaptations": ADAPTERS, "lora_alpha": ALPHA, "lora_dropout_p": 0.0, "lora_rank": RANK,
        "lora_main_params_trainable": False, "load_trained_adapters": True, "emb_pooler": None,
        "task_instructions": INSTRUCTIONS, "torch_dtype": "bfloat16", "use_flash_attn": True,
        "matryoshka_dimensions": [8, 16, H], "truncate_dim": None, **_sizes(),
    }  # fmt: skip
    folder.mkdir(parents=True)
    tiny.put(folder / "config.json", config)
    n, r = len(ADAPTERS), RANK
    state: dict[str, Any] = {}
    normal = _normal(11)

    def adapted(name: str, rows: int, columns: int, *, table: bool = False) -> None:
        at = f"roberta.{name}.parametrizations.weight"
        state[f"{at}.original"] = normal(rows, columns, std=0.5 if table else 0.12)
        state[f"{at}.0.lora_A"] = normal(n, rows, r, std=0.3) if table else normal(n, r, columns, std=0.2)
        state[f"{at}.0.lora_B"] = normal(n, r, columns, std=0.3) if table else normal(n, rows, r, std=0.2)
        if not table:
            state[f"roberta.{name}.bias"] = normal(rows, std=0.1)

    def norm(name: str) -> None:
        state[f"roberta.{name}.weight"] = 1 + normal(H, std=0.1)
        state[f"roberta.{name}.bias"] = normal(H, std=0.1)

    adapted("embeddings.word_embeddings", _vocabulary(), H, table=True)
    adapted("embeddings.token_type_embeddings", 1, H, table=True)
    norm("emb_ln")
    for i in range(LAYERS):
        at = f"encoder.layers.{i}"
        adapted(f"{at}.mixer.Wqkv", 3 * H, H)
        adapted(f"{at}.mixer.out_proj", H, H)
        adapted(f"{at}.mlp.fc1", WIDE, H)
        adapted(f"{at}.mlp.fc2", H, WIDE)
        norm(f"{at}.norm1")
        norm(f"{at}.norm2")
    adapted("pooler.dense", H, H)
    tiny.store(folder, {name: t.to(getattr(torch, dtype)) for name, t in state.items()})
    stored = {"prompts": INSTRUCTIONS, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    return _wrapped(folder, stored, "XLMRobertaTokenizerFast")


def native(source: Path, folder: Path, *, names: str = "transformers") -> Path:
    """The same numbers in transformers' layout: its own config, and a PEFT folder an adapter.

    Args:
        names: "transformers": those of its modules; "jina": the fused ones, which it reads as well.
    """
    folder.mkdir(parents=True)
    tiny.put(
        folder / "config.json",
        {
            "model_type": "jina_embeddings_v3", "architectures": ["JinaEmbeddingsV3Model"],
            "rope_parameters": {"rope_theta": THETA, "rope_type": "default"}, "dtype": "bfloat16", **_sizes(),
        },
    )  # fmt: skip
    state = tiny.tensors(source)
    base: dict[str, Any] = {}
    for name, tensor in state.items():
        if ".lora_" in name:
            continue
        plain = name.removeprefix("roberta.").replace("parametrizations.weight.original", "weight")
        for own, rows in _places(plain, tensor) if names == "transformers" else [(plain, tensor)]:
            base[own] = rows.contiguous()
    tiny.store(folder, base)
    for k, adapter in enumerate(ADAPTERS):
        _peft(folder / re.sub("[.-]", "_", adapter), state, k)
    return _wrapped(folder, {"prompts": {}, "similarity_fn_name": "cosine"}, "XLMRobertaTokenizer")


def _peft(folder: Path, state: dict[str, Any], k: int) -> None:
    from safetensors.torch import save_file

    tensors: dict[str, Any] = {}
    for name in (n for n in state if n.endswith(".lora_A")):
        module = name.removeprefix("roberta.").partition(".parametrizations")[0]
        a, b = state[name][k], state[f"{name[:-1]}B"][k]
        if "embeddings" in module:  # PEFT stores both the other way round
            at = f"base_model.model.{module}.lora_embedding_"
            tensors |= {f"{at}A": a.T.contiguous(), f"{at}B": b.T.contiguous()}
            continue
        for own, rows in _places(module, b):
            at = f"base_model.model.{own}.lora_"
            tensors |= {f"{at}A.weight": a.clone(), f"{at}B.weight": rows.contiguous()}
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    tiny.put(
        folder / "adapter_config.json",
        {
            "peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "lora_dropout": 0.0, "bias": "none",
            "fan_in_fan_out": False, "use_rslora": False, "use_dora": False, "modules_to_save": None,
            "rank_pattern": {}, "alpha_pattern": {},
            "base_model_name_or_path": "jinaai/jina-embeddings-v3-hf",
            "target_modules": [
                "q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2", "dense", "word_embeddings",
                "token_type_embeddings",
            ],
        },
    )  # fmt: skip


def _places(name: str, tensor: Any) -> list[tuple[str, Any]]:
    """A fused name and its tensor under transformers' names."""
    for old, new in (
        ("emb_ln", "embeddings.LayerNorm"), ("encoder.layers", "layers"),
        ("mixer.out_proj", "self_attn.o_proj"), ("norm1", "post_attention_layernorm"),
        ("norm2", "post_mlp_layernorm"),
    ):  # fmt: skip
        name = name.replace(old, new)
    if "mixer.Wqkv" not in name:
        return [(name, tensor)]
    return [(name.replace("mixer.Wqkv", f"self_attn.{side}_proj"), rows)
            for side, rows in zip("qkv", torch.split(tensor, H), strict=True)]  # fmt: skip


def _sizes() -> dict[str, Any]:
    return {
        **made.SIZES, "vocab_size": _vocabulary(), "max_position_embeddings": POSITIONS, "type_vocab_size": 1,
        "layer_norm_eps": 1e-5, "hidden_act": "gelu", "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
    }  # fmt: skip


def _vocabulary() -> int:
    return made._xlm_r_vocabulary()


def _normal(seed: int) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape, std: torch.randn(*shape, generator=generator) * std


def _wrapped(folder: Path, stored: dict[str, Any], tokenizer: str) -> Path:
    made._unigram(folder, tokenizer, length=POSITIONS)
    rows = [("", "custom_st.Transformer"), ("1_Pooling", "sentence_transformers.models.Pooling"),
            ("2_Normalize", "sentence_transformers.models.Normalize")]  # fmt: skip
    modules = [{"idx": i, "name": str(i), "path": p, "type": kind} for i, (p, kind) in enumerate(rows)]
    tiny.put(folder / "modules.json", modules)
    tiny.put(folder / "1_Pooling/config.json", made.MEAN)
    tiny.put(folder / "config_sentence_transformers.json", stored)
    return folder
