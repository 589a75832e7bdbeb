"""Tiny random checkpoints in the real on-disk formats, built without a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from harness.models import load_model
from harness.models.base import Model

WORDS = [
    "the",
    "red",
    "planet",
    "sun",
    "moon",
    "of",
    "is",
    "a",
    "known",
    "as",
    "which",
    "venus",
    "mars",
    "ring",
    "big",
]
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
CJK = list("東京都の天気は晴れです你好世界")
VOCABULARY = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS,
    *(c for c in LETTERS if c not in WORDS), *(f"##{c}" for c in LETTERS), *CJK,
    *".,:!?&'123", *(f"##{d}" for d in "123"),
]  # fmt: skip
CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 48,
    "vocab_size": len(VOCABULARY),
    "type_vocab_size": 2,
    "pad_token_id": 0,
}
TEXTS = [
    "Which planet is known as the red planet?",
    "mars",
    "",
    "東京都の天気は晴れです",
    "the moon\nof venus\tis a big ring",
    "sun " * 60,
    "Ünïcödé ＡＢＣ！",
    "the red sun is known as the red sun of the red planet",
]


def bi_encoder(folder: Path, *, normalize: bool = True, stored: dict[str, Any] | None = None) -> Path:
    """A sentence-transformers checkpoint: BERT, mean pooling, unit length, cut at 32 tokens."""
    _transformer(folder, "BertModel", {**CONFIG, "architectures": ["BertModel"]}, seed=1)
    _modules(folder, ["Transformer", "Pooling", *(["Normalize"] if normalize else [])])
    put(folder / "1_Pooling/config.json", {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True})
    put(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})
    put(
        folder / "config_sentence_transformers.json",
        stored or {"prompts": {}, "similarity_fn_name": "cosine"},
    )
    return folder


def plain_encoder(folder: Path) -> Path:
    """A transformers checkpoint without modules.json."""
    return _transformer(folder, "BertModel", {**CONFIG, "architectures": ["BertModel"]}, seed=2)


def cross_encoder(folder: Path, *, labels: int = 1, **config: Any) -> Path:
    """A sequence classifier as CrossEncoder saves it."""
    config = {
        **CONFIG,
        "architectures": ["BertForSequenceClassification"],
        "id2label": {str(i): f"LABEL_{i}" for i in range(labels)},
        "label2id": {f"LABEL_{i}": i for i in range(labels)},
        **config,
    }
    return _transformer(folder, "BertForSequenceClassification", config, seed=3)


def copied(source: Path, target: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(source, target))


def tensors(folder: Path) -> dict[str, Any]:
    """The stored tensors, writable."""
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def store(folder: Path, state: dict[str, Any]) -> None:
    """Replace the stored tensors."""
    from safetensors.torch import save_file

    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def put(path: Path, content: Any) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def change(path: Path, **values: Any) -> None:
    """Change keys of a JSON file."""
    put(path, {**json.loads(path.read_text(encoding="utf-8")), **values})


def load(folder: Path, cache: Path, **options: Any) -> Model:
    """The model in a folder, on the CPU."""
    return load_model(str(folder), cache=cache, offline=True, **{"device": "cpu", **options})


def _transformer(folder: Path, architecture: str, config: dict[str, Any], *, seed: int) -> Path:
    import torch
    import transformers

    folder.mkdir(parents=True)
    put(folder / "config.json", config)
    settings = transformers.BertConfig(
        **{k: v for k, v in config.items() if k not in ("model_type", "architectures")}
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        extra = {"add_pooling_layer": False} if architecture == "BertModel" else {}
        model = getattr(transformers, architecture)(settings, **extra)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    store(folder, {name: tensor.contiguous() for name, tensor in model.state_dict().items()})
    word_pieces(folder)
    return folder


def word_pieces(folder: Path) -> int:
    """BERT's tokenizer over VOCABULARY; returns its size."""
    from tokenizers import BertWordPieceTokenizer

    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    # Published tokenizers carry such settings; what is asked for must win over them.
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(folder / "tokenizer.json"))
    put(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 40,
            "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]",
            "mask_token": "[MASK]",
        },
    )  # fmt: skip
    return len(VOCABULARY)


def _modules(folder: Path, kinds: list[str]) -> None:
    rows = [
        {"idx": i, "name": str(i), "path": "" if i == 0 else f"{i}_{kind}",
         "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]  # fmt: skip
    put(folder / "modules.json", rows)
