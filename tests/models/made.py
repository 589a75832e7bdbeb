"""Tiny random checkpoints of every architecture under the names of the published files.

Each function writes a folder and returns it; `tensors` of `tests.models.tiny` reads back what was stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.models import tiny

H, WIDE, LAYERS, HEADS = 32, 64, 3, 4
PIECES = [
    "▁the", "▁red", "▁planet", "▁sun", "▁moon", "▁of", "▁is", "▁a", "▁known", "▁which", "▁mars", "▁", "query",
    ":", "passage", *"abcdefghijklmnopqrstuvwxyz", *"東京都の天気は晴れです", "東京", "?", "!", ",", ".", "s",
]  # fmt: skip
PIECES = list(dict.fromkeys(PIECES))
XLM_R_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
MEAN = {"word_embedding_dimension": H, "pooling_mode_mean_tokens": True}
TEXTS = [
    "which planet is the red planet?",
    "mars",
    "",
    "東京都の天気は晴れです",
    "the sun is a known sun of the moon " * 6,
    "query: a red moon, zzz qq!",
]
SIZES = {
    "hidden_size": H,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": WIDE,
}


def bert(folder: Path) -> Path:
    """BERT as E5 and all-MiniLM are stored: WordPiece, mean, unit length."""
    config = {
        "model_type": "bert", "architectures": ["BertModel"], **SIZES, "vocab_size": len(tiny.VOCABULARY),
        "max_position_embeddings": 48, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
        "pad_token_id": 0,
    }  # fmt: skip
    shapes = _bert_shapes(len(tiny.VOCABULARY), 48, 2)
    _write(folder, config, {**shapes, "pooler.dense.weight": (H, H), "pooler.dense.bias": (H,)}, seed=1)
    tiny.word_pieces(folder)
    return _sentence_transformer(folder, 40)


def bert_japanese(folder: Path) -> Path:
    """BERT as ruri v1 is stored: vocab.txt alone, for a tokenizer in pure Python.

    Words are cut at white space, where ruri's are cut by MeCab, another package.
    """
    bert(folder)
    (folder / "tokenizer.json").unlink()
    tiny.put(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "basic",
            "subword_tokenizer_type": "wordpiece", "do_lower_case": False, "model_max_length": 512,
            "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]",
            "mask_token": "[MASK]",
        },
    )  # fmt: skip
    return folder


def xlm_roberta(folder: Path) -> Path:
    """XLM-R as multilingual-e5-base is stored: Unigram, positions from 2 on, mean, unit length."""
    _write(folder, _xlm_r_config("XLMRobertaModel"), _bert_shapes(_xlm_r_vocabulary(), 50, 1), seed=2)
    _unigram(folder, "XLMRobertaTokenizer")
    return _sentence_transformer(folder, 48)


def luke(folder: Path, vocabulary: int = 0) -> Path:
    """LUKE as GLuCoSE is stored: tensors of entities beside those of words, a tokenizer of its own."""
    config = {
        **_xlm_r_config("LukeModel"), "model_type": "luke", "entity_vocab_size": 7, "entity_emb_size": 8,
        "use_entity_aware_attention": True,
    }  # fmt: skip
    config["vocab_size"] = vocabulary or config["vocab_size"]
    shapes = {
        **_bert_shapes(config["vocab_size"], 50, 1),
        "entity_embeddings.entity_embeddings.weight": (7, 8),
        "entity_embeddings.entity_embedding_dense.weight": (H, 8),
        "entity_embeddings.position_embeddings.weight": (50, H),
        "entity_embeddings.token_type_embeddings.weight": (1, H),
        "entity_embeddings.LayerNorm.weight": (H,),
        "entity_embeddings.LayerNorm.bias": (H,),
        "pooler.dense.weight": (H, H),
        "pooler.dense.bias": (H,),
    }
    for i in range(LAYERS):
        for kind in ("w2e", "e2w", "e2e"):
            name = f"encoder.layer.{i}.attention.self.{kind}_query"
            shapes |= {f"{name}.weight": (H, H), f"{name}.bias": (H,)}
    _write(folder, config, shapes, seed=3)
    _unigram(folder, "MLukeTokenizer")
    return _sentence_transformer(folder, 48, normalize=False)


def luke_with_pieces(folder: Path) -> Path:
    """The same with a SentencePiece model instead of tokenizer.json, as GLuCoSE's own repository has it."""
    from io import BytesIO

    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    written = BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([*TEXTS, "The quick brown fox: ABC 123", "天気 line two カキク"] * 20),
        model_writer=written, vocab_size=70, hard_vocab_limit=False, character_coverage=1.0, minloglevel=2,
    )  # fmt: skip
    pieces = SentencePieceProcessor(model_proto=written.getvalue())
    luke(folder, len(pieces) + 2)  # with <pad> and <mask>
    (folder / "sentencepiece.bpe.model").write_bytes(written.getvalue())
    (folder / "tokenizer.json").unlink()
    tiny.put(folder / "entity_vocab.json", {"[MASK]": 0, "[UNK]": 1, "[PAD]": 2, "[MASK2]": 3})
    return folder


def flash_reranker(folder: Path) -> Path:
    """jina-reranker-v2: config.json without model_type and with code of its own, fused names, bfloat16."""
    config = _xlm_r_config("XLMRobertaForSequenceClassification")
    del config["model_type"]
    config |= {
        "auto_map": {
            "AutoConfig": "configuration_xlm_roberta.XLMRobertaFlashConfig",
            "AutoModelForSequenceClassification": "modeling_xlm_roberta.XLMRobertaForSequenceClassification",
        },
        "num_labels": 1, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}, "torch_dtype": "bfloat16",
        "position_embedding_type": "absolute", "use_flash_attn": True, "emb_pooler": None,
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {
        "roberta.embeddings.word_embeddings.weight": (_xlm_r_vocabulary(), H),
        "roberta.embeddings.position_embeddings.weight": (50, H),
        "roberta.embeddings.token_type_embeddings.weight": (1, H),
        **_both("roberta.emb_ln", H),
        **_both("classifier.dense", H, H),
        **_both("classifier.out_proj", 1, H),
    }
    for i in range(LAYERS):
        p = f"roberta.encoder.layers.{i}."
        shapes |= _both(f"{p}mixer.Wqkv", 3 * H, H) | _both(f"{p}mixer.out_proj", H, H)
        shapes |= _both(f"{p}mlp.fc1", WIDE, H) | _both(f"{p}mlp.fc2", H, WIDE)
        shapes |= _both(f"{p}norm1", H) | _both(f"{p}norm2", H)
    _write(folder, config, shapes, seed=17, dtype="bfloat16")
    _unigram(folder, "XLMRobertaTokenizer", length=48)
    return folder


def mpnet(folder: Path) -> Path:
    """all-mpnet-base-v2: relative biases beside learned positions from 2 on."""
    vocabulary = ["<s>", "<pad>", "</s>", "[UNK]", *tiny.VOCABULARY[5:], "<mask>"]
    config = {
        "model_type": "mpnet", "architectures": ["MPNetForMaskedLM"], **SIZES, "vocab_size": len(vocabulary),
        "max_position_embeddings": 50, "layer_norm_eps": 1e-5, "hidden_act": "gelu", "pad_token_id": 1,
        "bos_token_id": 0, "eos_token_id": 2, "relative_attention_num_buckets": 32,
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(vocabulary), H),
        "embeddings.position_embeddings.weight": (50, H),
        **_both("embeddings.LayerNorm", H),
        "encoder.relative_attention_bias.weight": (32, HEADS),
        **_both("pooler.dense", H, H),
    }
    for i in range(LAYERS):
        p = f"encoder.layer.{i}."
        for name in "qkvo":
            shapes |= _both(f"{p}attention.attn.{name}", H, H)
        shapes |= _both(f"{p}attention.LayerNorm", H) | _both(f"{p}output.LayerNorm", H)
        shapes |= _both(f"{p}intermediate.dense", WIDE, H) | _both(f"{p}output.dense", H, WIDE)
    _write(folder, config, shapes, seed=5)
    _mpnet_tokenizer(folder, vocabulary)
    return _sentence_transformer(folder, 48)


def t5(folder: Path) -> Path:
    """sentence-t5: the encoder in float16, mean, a Dense layer without bias, unit length."""
    specials = ["<pad>", "</s>", "<unk>"]
    size = len(specials) + len(PIECES)
    config = {
        "model_type": "t5", "architectures": ["T5EncoderModel"], "d_model": H, "d_kv": 8, "d_ff": WIDE,
        "num_layers": LAYERS, "num_decoder_layers": LAYERS, "num_heads": HEADS, "vocab_size": size,
        "relative_attention_num_buckets": 32, "layer_norm_epsilon": 1e-6, "feed_forward_proj": "relu",
        "is_encoder_decoder": True, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
        "torch_dtype": "float16",
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {
        "shared.weight": (size, H),
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, HEADS),
        "encoder.final_layer_norm.weight": (H,),
    }
    for i in range(LAYERS):
        p = f"encoder.block.{i}.layer."
        shapes |= {f"{p}0.SelfAttention.{n}.weight": (HEADS * 8, H) for n in "qkv"}
        shapes |= {f"{p}0.SelfAttention.o.weight": (H, HEADS * 8)}
        shapes |= {f"{p}{n}.layer_norm.weight": (H,) for n in "01"}
        shapes |= {f"{p}1.DenseReluDense.wi.weight": (WIDE, H), f"{p}1.DenseReluDense.wo.weight": (H, WIDE)}
    _write(folder, config, shapes, seed=6, dtype="float16")
    _unigram(folder, "T5Tokenizer", specials=specials, single=["$A", "</s>"], extra_ids=0)
    dense = folder / "2_Dense"
    identity = "torch.nn.modules.linear.Identity"
    _write(
        dense,
        {"in_features": H, "out_features": 24, "bias": False, "activation_function": identity},
        {"linear.weight": (24, H)},
        seed=7,
    )
    return _sentence_transformer(folder, 40, dense=True)


def modernbert(folder: Path) -> Path:
    """ruri-v3: ModernBERT with a window of 8 tokens and a tokenizer declared as Llama's."""
    specials = ["<s>", "</s>", "<unk>", "<pad>"]
    size = len(specials) + len(PIECES)
    config = {
        "model_type": "modernbert", "architectures": ["ModernBertModel"], **SIZES, "num_hidden_layers": 4,
        "vocab_size": size, "max_position_embeddings": 96, "norm_eps": 1e-5, "norm_bias": False,
        "attention_bias": False, "mlp_bias": False, "hidden_activation": "gelu", "local_attention": 8,
        "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0,
        "bos_token_id": 0, "eos_token_id": 1, "cls_token_id": 0, "sep_token_id": 1, "pad_token_id": 3,
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.tok_embeddings.weight": (size, H),
        "embeddings.norm.weight": (H,),
        "final_norm.weight": (H,),
    }
    for i in range(4):
        p = f"layers.{i}."
        shapes |= {f"{p}attn.Wqkv.weight": (3 * H, H), f"{p}attn.Wo.weight": (H, H)}
        shapes |= {
            f"{p}mlp.Wi.weight": (2 * WIDE, H),
            f"{p}mlp.Wo.weight": (H, WIDE),
            f"{p}mlp_norm.weight": (H,),
        }
        shapes |= {f"{p}attn_norm.weight": (H,)} if i else {}
    _write(folder, config, shapes, seed=8)
    _unigram(folder, "LlamaTokenizer", specials=specials)
    return _sentence_transformer(folder, 40, normalize=False)


def qwen3(folder: Path) -> Path:
    """Qwen3-Embedding: causal, the last token's vector, an instruction in front of queries, bfloat16."""
    config = {
        "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], **SIZES, "num_key_value_heads": 2,
        "head_dim": 16, "vocab_size": 260, "max_position_embeddings": 256, "rms_norm_eps": 1e-6,
        "rope_theta": 1000000, "hidden_act": "silu", "attention_bias": False, "tie_word_embeddings": True,
        "bos_token_id": 256, "eos_token_id": 256, "torch_dtype": "bfloat16", "use_sliding_window": False,
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (260, H), "norm.weight": (H,)}
    for i in range(LAYERS):
        p = f"layers.{i}."
        shapes |= {
            f"{p}self_attn.{n}_proj.weight": (w * 16, H) for n, w in zip("qkv", (HEADS, 2, 2), strict=True)
        }
        shapes |= {f"{p}self_attn.{n}_norm.weight": (16,) for n in "qk"}
        shapes |= {f"{p}self_attn.o_proj.weight": (H, HEADS * 16), f"{p}mlp.down_proj.weight": (H, WIDE)}
        shapes |= {f"{p}mlp.{n}_proj.weight": (WIDE, H) for n in ("gate", "up")}
        shapes |= {f"{p}{n}_layernorm.weight": (H,) for n in ("input", "post_attention")}
    _write(folder, config, shapes, seed=9, dtype="bfloat16")
    _bytes_tokenizer(folder)
    prompts = {"query": "Instruct: find it\nQuery:", "document": ""}
    return _sentence_transformer(folder, 200, pooling={"pooling_mode_lasttoken": True}, prompts=prompts)


def static(folder: Path) -> Path:
    """potion: a table of vectors with a tokenizer, then unit length; its config.json is model2vec's own."""
    size = _xlm_r_vocabulary()
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "hidden_dim": H, "normalize": True}
    _write(folder, config, {"embeddings": (size, H)}, seed=10)
    _unigram(folder, "XLMRobertaTokenizer")
    rows = [
        {"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"},
        {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    tiny.put(folder / "modules.json", rows)
    return folder


def _bert_shapes(vocabulary: int, positions: int, types: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (vocabulary, H),
        "embeddings.position_embeddings.weight": (positions, H),
        "embeddings.token_type_embeddings.weight": (types, H),
        **_both("embeddings.LayerNorm", H),
    }
    for i in range(LAYERS):
        p = f"encoder.layer.{i}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= _both(f"{p}attention.{name}", H, H)
        shapes |= _both(f"{p}attention.output.LayerNorm", H) | _both(f"{p}output.LayerNorm", H)
        shapes |= _both(f"{p}intermediate.dense", WIDE, H) | _both(f"{p}output.dense", H, WIDE)
    return shapes


def _both(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _xlm_r_vocabulary() -> int:
    return len(XLM_R_SPECIALS) + len(PIECES)


def _xlm_r_config(architecture: str) -> dict[str, Any]:
    return {
        "model_type": "xlm-roberta", "architectures": [architecture], **SIZES,
        "vocab_size": _xlm_r_vocabulary(), "max_position_embeddings": 50, "type_vocab_size": 1,
        "layer_norm_eps": 1e-5, "hidden_act": "gelu", "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
    }  # fmt: skip


def _write(
    folder: Path,
    config: dict[str, Any],
    shapes: dict[str, tuple[int, ...]],
    *,
    seed: int,
    dtype: str = "float32",
) -> None:
    """config.json and model.safetensors: normal numbers, norms around 1, tables and heads larger."""
    import torch

    rng = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes.items():
        norm = len(shape) == 1 and name.endswith("weight")
        large = any(part in name for part in ("embed", "shared", "classifier"))
        scale = 0.1 if len(shape) == 1 else 0.5 if large else 0.12
        state[name] = torch.from_numpy(rng.normal(float(norm), scale, shape)).to(getattr(torch, dtype))
    tiny.put(folder / "config.json", config)
    tiny.store(folder, state)


def _sentence_transformer(
    folder: Path,
    length: int,
    *,
    normalize: bool = True,
    dense: bool = False,
    pooling: dict[str, Any] | None = None,
    prompts: dict[str, str] | None = None,
) -> Path:
    kinds = ["Transformer", "Pooling", *(["Dense"] if dense else []), *(["Normalize"] if normalize else [])]
    tiny._modules(folder, kinds)
    tiny.put(folder / "1_Pooling/config.json", pooling or MEAN)
    tiny.put(folder / "sentence_bert_config.json", {"max_seq_length": length, "do_lower_case": False})
    tiny.put(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts or {}, "similarity_fn_name": "cosine"},
    )
    return folder


def _unigram(
    folder: Path,
    kind: str,
    *,
    specials: Sequence[str] = XLM_R_SPECIALS,
    single: Sequence[str] = ("<s>", "$A", "</s>"),
    length: int = 512,
    **settings: Any,
) -> None:
    """A SentencePiece vocabulary as tokenizer.json holds it."""
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import Unigram
    from tokenizers.pre_tokenizers import Metaspace, WhitespaceSplit
    from tokenizers.pre_tokenizers import Sequence as Chain
    from tokenizers.processors import TemplateProcessing

    vocabulary = [(token, 0.0) for token in specials]
    vocabulary += [(piece, -1.0 - 4 / len(piece)) for piece in PIECES]
    tokenizer = Tokenizer(Unigram(vocabulary, unk_id=list(specials).index("<unk>"), byte_fallback=False))
    tokenizer.pre_tokenizer = Chain([WhitespaceSplit(), Metaspace()])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    pair = ["<s>", "$A", "</s>", "</s>", "$B", "</s>"] if "<s>" in specials else ["$A", "</s>", "$B", "</s>"]
    ends = [token for token in ("<s>", "</s>") if token in specials]
    tokenizer.post_processor = TemplateProcessing(
        single=list(single), pair=pair, special_tokens=[(t, list(specials).index(t)) for t in ends]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "</s>"}
    if "<s>" in specials:
        names |= {"bos_token": "<s>", "cls_token": "<s>", "sep_token": "</s>"}
    tiny.put(
        folder / "tokenizer_config.json",
        {"tokenizer_class": kind, "model_max_length": length, **names, **settings},
    )


def _mpnet_tokenizer(folder: Path, vocabulary: Sequence[str]) -> None:
    from tokenizers import BertWordPieceTokenizer
    from tokenizers.processors import RobertaProcessing

    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    tokenizer = BertWordPieceTokenizer(
        str(folder / "vocab.txt"), lowercase=True, sep_token="</s>", cls_token="<s>", pad_token="<pad>",
        mask_token="<mask>",
    )  # fmt: skip
    tokenizer._tokenizer.post_processor = RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=False, add_prefix_space=False
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    tiny.put(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "MPNetTokenizer", "do_lower_case": True, "model_max_length": 512,
            "bos_token": "<s>", "cls_token": "<s>", "sep_token": "</s>", "eos_token": "</s>",
            "pad_token": "<pad>", "unk_token": "[UNK]", "mask_token": "<mask>",
        },
    )  # fmt: skip


def _bytes_tokenizer(folder: Path) -> None:
    """Byte-level BPE without merges; `<|endoftext|>` stands behind every text, as Qwen3-Embedding has it."""
    from tokenizers import AddedToken, Regex, Tokenizer
    from tokenizers.models import BPE
    from tokenizers.normalizers import NFC
    from tokenizers.pre_tokenizers import ByteLevel, Split
    from tokenizers.pre_tokenizers import Sequence as Chain
    from tokenizers.processors import TemplateProcessing

    alphabet = sorted(ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({c: i for i, c in enumerate(alphabet)}, []))
    tokenizer.normalizer = NFC()
    words = Regex(r"\p{L}+|\p{N}|[^\s\p{L}\p{N}]+|\s+")
    tokenizer.pre_tokenizer = Chain(
        [Split(words, "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    tokenizer.post_processor = TemplateProcessing(
        single=["$A", "<|endoftext|>"], special_tokens=[("<|endoftext|>", len(alphabet))]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    tiny.put(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "Qwen2Tokenizer", "model_max_length": 256, "pad_token": "<|endoftext|>",
            "eos_token": "<|endoftext|>", "unk_token": None, "bos_token": None,
        },
    )  # fmt: skip
