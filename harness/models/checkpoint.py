"""What a checkpoint folder says about itself, read from its small files alone: no weights, no torch.

The formats are those of transformers (config.json, tokenizer files, safetensors, sharded or not) and of
sentence-transformers (modules.json with one folder a module).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import ModelError
from harness.models.lora import adapter_files, adapter_names
from harness.models.prompts import KEYS
from harness.models.remap import NETWORK, ROTARY, TOKENIZER_TYPE, find_layout
from harness.models.weights import read_json, table_width, weight_files
from harness.types import ModelKind

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.txt", "vocab.json", "merges.txt",
    "sentencepiece.bpe.model", "spiece.model", "tokenizer.model", "entity_vocab.json",
)  # fmt: skip
STEPS = ("Pooling", "Dense", "LayerNorm", "Normalize", "Dropout")  # the first three by their config.json
_OLD_POOLING = {
    "cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens", "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens", "lasttoken": "pooling_mode_lasttoken",
}  # fmt: skip
POOLING_MODES = tuple(_OLD_POOLING)
# These number positions from pad_token_id + 1 on, so that many rows of their table are never used.
# ROTARY has no such table, and the config of a network that had one.
_OFFSET_POSITIONS = frozenset((
    "roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "luke", "longformer", "data2vec-text",
    ROTARY,
))  # fmt: skip
_UNAPPLIED = (
    "processing_kwargs", "query_length", "document_length", "query_expansion", "model_args", "tokenizer_args",
    "config_args", "model_kwargs", "processor_kwargs", "config_kwargs",
)  # fmt: skip
_PROMPT_NAMES = {
    "passage": "document", "corpus": "document", "STS": "sts", "PairClassification": "pair_classification",
    "Classification": "classification", "MultilabelClassification": "multilabel", "Clustering": "clustering",
    "Summarization": "summarization", "BitextMining": "bitext", "Retrieval-query": "query",
    "Retrieval-document": "document",
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A sentence-transformers module behind the transformer: what it is, its folder, its config."""

    kind: str
    path: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A folder's own description.

    Attributes:
        folder: the checkpoint; all other paths are relative to it.
        root: folder of the transformer ("" unless modules.json says otherwise).
        config, bert, tokenizer, stored: config.json, sentence_bert_config.json, tokenizer_config.json and
            config_sentence_transformers.json; empty where the file is absent.
        steps: modules behind the transformer; empty for a plain transformers checkpoint.
        weights: weight files, first the transformer's.
        files: every file that can change a vector, weights included, sorted.
        layout: how its tensors are renamed (see `harness.models.remap`); None where they are not.
        static: the first module is a table of token vectors, no transformer.
        adapters: names of its low-rank adapters (see `harness.models.lora`).
    """

    folder: Path
    root: str
    config: Mapping[str, Any]
    bert: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    stored: Mapping[str, Any]
    steps: tuple[Step, ...]
    weights: tuple[str, ...]
    files: tuple[str, ...]
    layout: str | None = None
    static: bool = False
    adapters: tuple[str, ...] = ()

    @property
    def transformer(self) -> Path:
        """Folder of the transformer and its tokenizer."""
        return self.folder / self.root

    @property
    def pickled(self) -> bool:
        """Whether the transformer's weights are pickle."""
        return not self.weights[0].endswith(".safetensors")

    @property
    def tokenizer_type(self) -> str | None:
        """transformers' name of the tokenizer class, where what the folder declares cannot be built."""
        if self.layout:
            return TOKENIZER_TYPE
        # Some of Jina's declare a class that would be rebuilt into another tokenizer; this one never is.
        return "modernbert" if self.jina_bert and (self.transformer / "tokenizer.json").is_file() else None

    @property
    def network(self) -> Mapping[str, Any]:
        """The config of the network that is built: where tensors are mapped onto XLM-R's, one of that."""
        return {"model_type": NETWORK} if self.layout else self.config

    def weights_in(self, path: str) -> list[Path]:
        """Its weight files in one of its folders, such as `root` or a step's path."""
        files = [self.folder / name for name in self.weights]
        return [file for file in files if file.parent == self.folder / path]

    @property
    def labels(self) -> int | None:
        """Number of labels of a sequence classifier; None for anything else."""
        if any(step.kind == "Pooling" for step in self.steps) or not any(
            str(a).endswith("ForSequenceClassification") for a in self._architectures
        ):
            return None
        named = self.config.get("id2label")
        return len(named) if named else int(self.config.get("num_labels", 2))

    @property
    def kind(self) -> ModelKind:
        """What the checkpoint declares itself to be: a classifier with one label scores pairs."""
        return "bi-encoder" if self.labels is None else "cross-encoder"

    @property
    def jina_bert(self) -> bool:
        """Whether its network is JinaBERT, which calls itself BERT and is none."""
        alibi = self.config.get("position_embedding_type") == "alibi"
        named = "jina-bert" in str(self.config.get("auto_map"))
        return self.config.get("model_type") == "bert" and (alibi or named)

    @property
    def positions(self) -> int | None:
        """Longest input in tokens that the position table can hold; None where positions are relative."""
        size = self.config.get("max_position_embeddings")
        if not isinstance(size, int) or size <= 0:
            return None
        family = self.config.get("model_type")
        if family not in _OFFSET_POSITIONS:
            return size
        # MPNet takes 1 for the padding id, whatever its config says.
        padding = 1 if family == "mpnet" else self.config.get("pad_token_id", 1)
        return size - 1 - int(padding)

    @property
    def max_length(self) -> int | None:
        """Tokens a text is cut to where nobody says otherwise, as sentence-transformers would."""
        if self.static:  # sentence-transformers cuts nothing there
            return None
        declared = self.bert.get("max_seq_length") or self.tokenizer.get("model_max_length")
        known = [n for n in (declared, self.positions) if isinstance(n, int) and n < 10**9]
        return min(known) if known else None

    @property
    def hidden(self) -> int:
        """Width of the transformer."""
        for key in ("hidden_size", "d_model", "dim", "n_embd"):
            if isinstance(self.config.get(key), int):
                return int(self.config[key])
        raise ModelError(f"{self.transformer / 'config.json'}: no hidden_size")

    @cached_property
    def prompts(self) -> dict[str, str]:
        """Stored prompts under this program's keys; prompts under names of their own are left out."""
        stored = self.stored.get("prompts") or {}
        default = stored.get(self.stored.get("default_prompt_name"))
        # An empty one gives way to any other.
        ordered = sorted(stored.items(), key=lambda item: bool(item[1]))
        known = {_PROMPT_NAMES.get(name, name): text for name, text in ordered if text or default}
        found = {key: text for key, text in known.items() if key in KEYS}
        if default:  # sentence-transformers puts it in front of whatever names no prompt of its own
            found = {**dict.fromkeys(("query", "document", "sentence"), default), **found}
        return found

    @property
    def nameless(self) -> tuple[str, ...]:
        """Names of stored prompts that are neither a role nor a task kind: no text gets these by name."""
        return tuple(
            name for name in self.stored.get("prompts") or {} if _PROMPT_NAMES.get(name, name) not in KEYS
        )

    @property
    def _architectures(self) -> list[Any]:
        return list(self.config.get("architectures") or [])


def read_checkpoint(folder: Path, *, allow_pickle: bool = False, code: bool = False) -> Checkpoint:
    """Describe the checkpoint in `folder`.

    Args:
        allow_pickle: accept weights in pickle, which can run code when read.
        code: count the folder's own Python files among those that change a vector.

    Raises:
        ModelError: a file is missing, is not JSON, or asks for something this program cannot do.
    """
    modules = read_json(folder / "modules.json", [])
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    places = [str(module.get("path", "")) for module in modules]
    if kinds and kinds[0] not in ("Transformer", "StaticEmbedding"):
        raise ModelError(f"{folder}: its first module is {kinds[0]!r}; only transformers can be loaded")
    static = kinds[:1] == ["StaticEmbedding"]
    root = places[0].removeprefix(".") if places else ""
    base = folder / root
    if not static and not (base / "config.json").is_file():
        raise ModelError(
            f"{base} holds no config.json; a checkpoint needs it, its tokenizer and *.safetensors"
        )
    if (base / "adapter_config.json").is_file():
        raise ModelError(f"{base} holds a PEFT adapter; merge it into its base model first")
    steps = tuple(_step(folder, kind, path) for kind, path in zip(kinds[1:], places[1:], strict=True))
    own = weight_files(base, allow_pickle)
    weights = [_inside(root, name) for name in own]
    config = read_json(base / "config.json", {})
    if static:
        layout, config = None, {**config, "hidden_size": table_width(base / own[0])}
    else:
        layout, config = find_layout(config, [base / name for name in own])
    for step in steps:
        if step.kind in ("Dense", "LayerNorm"):
            weights += [_inside(step.path, name) for name in weight_files(folder / step.path, allow_pickle)]
    named = sorted(p.name for p in base.glob("sentence_*_config.json"))
    bert_name = named[0] if named else "sentence_bert_config.json"
    bert = read_json(base / bert_name, {})
    _refuse_exotic(base / bert_name, bert)
    tokenizer = [_inside(root, name) for name in TOKENIZER_FILES if (base / name).is_file()]
    if not tokenizer:
        raise ModelError(f"{base} holds no tokenizer; tokenizer.json or the vocabulary files are needed")
    small = [_inside(root, "config.json"), _inside(root, bert_name), "modules.json"]
    small += [_inside(step.path, "config.json") for step in steps if step.path]
    small += [str(p.relative_to(folder)) for p in folder.rglob("*.py")] if code else []
    indices = [_inside(root, p.name) for p in base.glob("*.index.json")]
    found = [name for name in small if (folder / name).is_file()]
    adapters: tuple[str, ...] = ()
    if layout == "rotary":
        adapters = adapter_names(base, config)
        found += [_inside(root, name) for name in adapter_files(base, config)]
    return Checkpoint(
        folder=folder,
        root=root,
        config=config,
        bert=bert,
        tokenizer=read_json(base / "tokenizer_config.json", {}),
        stored=read_json(folder / "config_sentence_transformers.json", {}),
        steps=steps,
        weights=tuple(weights),
        files=tuple(sorted({*weights, *tokenizer, *indices, *found})),
        layout=layout,
        static=static,
        adapters=adapters,
    )


def pooling_modes(step: Step) -> tuple[str, ...]:
    """Modes of a Pooling module, old and new spelling, in the order in which they are joined."""
    mode = step.config.get("pooling_mode")
    if mode is not None:
        modes = (mode,) if isinstance(mode, str) else tuple(mode)
    else:
        chosen = {key for key, value in step.config.items() if key.startswith("pooling_mode_") and value}
        modes = tuple(mode for mode, key in _OLD_POOLING.items() if key in chosen) or ("mean",)
        if unknown := sorted(chosen - set(_OLD_POOLING.values())):
            raise ModelError(f"pooling {unknown[0]!r} is not one of {', '.join(_OLD_POOLING.values())}")
    for name in modes:
        if name not in POOLING_MODES:
            raise ModelError(f"pooling mode {name!r} is not one of {', '.join(POOLING_MODES)}")
    return modes


def _step(folder: Path, kind: str, path: str) -> Step:
    if kind not in STEPS:
        raise ModelError(f"{folder}: module {kind!r} cannot be loaded; known are {', '.join(STEPS)}")
    config = folder / path / "config.json"
    if kind in STEPS[:3] and not (path and config.is_file()):
        raise ModelError(f"{config} is missing: modules.json names a {kind} there, which it describes")
    return Step(kind, path, read_json(config, {}) if path else {})


def _refuse_exotic(path: Path, bert: Mapping[str, Any]) -> None:
    """Settings of newer sentence-transformers that change the input and that this program does not apply."""
    modality = bert.get("modality_config") or {}
    output = (modality.get("text") or {}).get("method_output_name", "last_hidden_state")
    if set(modality) - {"text"} or output not in ("last_hidden_state", "logits"):
        raise ModelError(f"{path}: this 'modality_config' asks for more than plain text and the last layer")
    for key in _UNAPPLIED:
        if bert.get(key):
            raise ModelError(f"{path}: {key!r} is set, which this program does not apply")


def _inside(folder: str, name: str) -> str:
    return f"{folder.strip('/')}/{name}" if folder.strip("/") else name
