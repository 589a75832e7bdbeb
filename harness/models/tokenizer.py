"""Tokenizers, held to their own files: transformers rebuilds them from their class, and may get it wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.errors import MissingExtraError, ModelError
from harness.models.quiet import quiet
from harness.models.refusals import first_line, refuse_code_elsewhere

PROBES = (
    "The quick brown fox, Ünïcödé & 123!",
    "你好，世界。東京都の天気は晴れです。",
    "ＡＢＣ　１２３　ﾊﾝｶｸ",
    "line one\nline two\ttab  two spaces",
)
# Class of a tokenizer: its SentencePiece model, what is added to the ids of pieces, the id of unknown ones.
_PIECES = {"XLMRoberta": ("sentencepiece.bpe.model", 1, 3), "T5": ("spiece.model", 0, 2)}


def open_tokenizer(
    folder: Path, tokenizer_type: str | None = None, *, trust_remote_code: bool = False
) -> Any:
    """The tokenizer in `folder`.

    Args:
        tokenizer_type: transformers' name of the class to build, where the declared one is wrong.

    Raises:
        ModelError: it cannot be built, or answers other ids than the folder's own tokenizer.json or, of
            XLM-R and T5 where there is none, SentencePiece model.
        MissingExtraError: a library that it needs is not installed.
    """
    from transformers import AutoTokenizer

    kind = {"tokenizer_type": tokenizer_type} if tokenizer_type else {}
    refuse_code_elsewhere(folder / "tokenizer_config.json", trust_remote_code)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                str(folder), trust_remote_code=trust_remote_code, local_files_only=True, **kind
            )
    except ImportError as error:
        raise MissingExtraError(
            f"the tokenizer in {folder} needs another library: {first_line(error)}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the tokenizer in {folder} cannot be built: {first_line(error)}") from error
    name = type(tokenizer).__name__
    raw = (folder / "tokenizer.json").is_file()
    file, due = ("tokenizer.json", raw_token_ids(folder)) if raw else piece_ids(folder, name)
    if due:
        with quiet():
            built = tokenizer(list(PROBES), add_special_tokens=raw)["input_ids"]
        for text, ours, theirs in zip(PROBES, built, due, strict=True):
            if list(ours) != theirs:
                raise ModelError(
                    f"{folder}: {name}, as transformers builds it, disagrees with {file}\n"
                    f"on {text!r}: {list(ours)[:12]} instead of {theirs[:12]}"
                )
    return tokenizer


def raw_token_ids(folder: Path) -> list[list[int]]:
    """Ids of PROBES by the folder's tokenizer.json alone, special tokens included, nothing cut or padded."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [list(encoding.ids) for encoding in tokenizer.encode_batch(list(PROBES))]


def piece_ids(folder: Path, tokenizer: str) -> tuple[str, list[list[int]]]:
    """Ids of PROBES by the folder's SentencePiece model alone, without special tokens, and the model's name.

    Args:
        tokenizer: the class that the model belongs to, whose ids lie behind those of the pieces.

    Returns:
        No ids for classes other than those of XLM-R and T5, and where there is no such model.

    Raises:
        MissingExtraError: the library is not installed.
    """
    name, behind, unknown = next((how for c, how in _PIECES.items() if tokenizer.startswith(c)), ("", 0, 0))
    if not name or not (folder / name).is_file():
        return "", []
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as error:
        raise MissingExtraError(f"the tokenizer in {folder} needs: pip install sentencepiece") from error
    pieces = SentencePieceProcessor(model_file=str(folder / name))
    none = pieces.unk_id()
    encoded = pieces.encode(list(PROBES))
    return name, [[unknown if one == none else one + behind for one in row] for row in encoded]


def probe_ids(folder: Path, tokenizer_type: str | None) -> list[list[int]]:
    """Ids of PROBES by the tokenizer as it is built, special tokens included."""
    return [list(ids) for ids in open_tokenizer(folder, tokenizer_type)(list(PROBES))["input_ids"]]
