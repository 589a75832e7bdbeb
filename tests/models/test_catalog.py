"""The catalog: complete, consistent, strict."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.errors import ConfigError
from harness.models.catalog import BUILT_IN, load_catalog
from harness.models.load import adapters
from harness.models.prompts import prompt_for, route_for

ROWS = load_catalog().rows
BLOCK = "models:\n  a:\n    kind: lexical\n    adapter: b\n"
FLOW = "models:\n  a: {kind: lexical, adapter: b, path: x"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ROWS)
def test_row(name: str) -> None:
    row = ROWS[name]
    assert row.name == name
    assert row.adapter in adapters
    assert row.revision is None or re.fullmatch("[0-9a-f]{40}", row.revision)
    assert row.revision or not row.hub or any("revision" in note for note in row.notes)
    assert not row.trust
    assert row.row >= 1
    if row.hub and row.kind == "bi-encoder":
        assert row.dim
        assert row.max_length or row.adapter == "static"
        assert row.parameters
        assert row.licence
        assert row.languages
        assert row.pooling
    for prompt in row.prompts.values():
        assert not prompt or prompt.endswith((": ", "：", "\nQuery:"))


def test_every_published_model_is_listed() -> None:
    by_family = {
        "jinaai/jina-embeddings-v2-": 6, "jinaai/jina-embeddings-v3": 1, "pkshatech/GLuCoSE-base-ja": 2,
        "cl-nagoya/ruri-": 8,
        "intfloat/": 6, "sentence-transformers/": 5, "jinaai/jina-embedding-": 3, "openai/": 3,
        "jinaai/jina-reranker-v2-": 1, "cometadata/": 1, "harness/": 7, "BAAI/bge-": 10, "thenlper/gte-": 3,
        "Alibaba-NLP/": 1, "Qwen/Qwen3-Embedding-": 3, "mixedbread-ai/": 1, "Snowflake/": 1,
        "cross-encoder/": 1, "minishlab/": 3,
    }  # fmt: skip
    titles = [row.title for row in ROWS.values()]
    assert {start: sum(t.startswith(start) for t in titles) for start in by_family} == by_family
    assert len(titles) == sum(by_family.values()) == len(set(titles))
    assert sum(not row.hidden for row in ROWS.values()) >= 45


def test_rows_that_mteb_knows_too_are_at_its_revision() -> None:
    """A pin, a dimension and a licence are facts: where mteb's own table states one, it is the same."""
    import mteb

    # mteb's dimension of ruri-v3-70m is known to be wrong, as are some of its maxima, which are not asked.
    known_wrong = {"cl-nagoya/ruri-v3-70m"}
    compared = 0
    for row in ROWS.values():
        try:
            meta = mteb.get_model_meta(row.hub) if row.hub else None
        except KeyError:
            continue
        if meta is None or not row.revision:
            continue
        compared += 1
        if meta.revision:
            assert row.revision == meta.revision, row.name
        if meta.embed_dim and row.kind == "bi-encoder" and row.hub not in known_wrong:
            assert row.dim == meta.embed_dim, row.name
        if meta.license and row.licence:
            assert row.licence == meta.license, row.name
    assert compared > 30


def test_what_published_tables_name_has_a_row(shared: Path) -> None:
    catalog = load_catalog()
    for table in ("jina-poster-tables.yaml", "glucose-v2-tables.yaml"):
        parts = yaml.safe_load((shared / "reference" / table).read_text(encoding="utf-8"))
        named = [name for part in parts.values() for name in part]
        assert len(named) > 10
        assert [name for name in named if catalog.find(name) is None] == []


def test_spellings() -> None:
    catalog = load_catalog()
    for spelling in ("jina-v2-base-zh", "JINA-V2-base-ZH", "jina-embeddings-v2-base-zh",
                     "jinaai/jina-embeddings-v2-base-zh"):  # fmt: skip
        row = catalog.find(spelling)
        assert row is not None
        assert row.default_suite == "cmteb"
    second = catalog.find("glucose-v2")
    assert second is not None
    assert second.hub == "pkshatech/GLuCoSE-base-ja-v2"
    assert catalog.find("nobody") is None
    names = list(catalog.names())
    assert "fake" not in names
    assert "bm25" in names
    assert "intfloat/e5-base-v2" in names


def test_prompts_of_the_families() -> None:
    def prompts(name: str, kind: str, role: str) -> str:
        return prompt_for(ROWS[name].prompts, "card", kind, role)

    assert prompts("e5-base-v2", "retrieval", "document") == "passage: "
    assert prompts("multilingual-e5-small", "sts", "sentence") == "query: "
    assert prompts("glucose-base-ja-v2", "clustering", "sentence") == "query: "
    assert prompts("glucose-base-ja", "retrieval", "query") == ""
    assert prompts("ruri-large-v2", "reranking", "document") == "文章: "
    assert prompts("ruri-base", "classification", "sentence") == ""
    assert prompts("ruri-v3-30m", "classification", "sentence") == "トピック: "
    assert prompts("ruri-v3-310m", "sts", "sentence") == ""
    assert prompts("ruri-v3-70m", "retrieval", "query") == "検索クエリ: "
    assert prompts("jina-v2-base-zh", "retrieval", "query") == ""
    assert prompts("qwen3-embedding-4b", "retrieval", "query").startswith(
        "Instruct: Given a web search query, "
    )
    assert prompts("qwen3-embedding-4b", "retrieval", "document") == ""
    assert prompts("bge-large-zh-v1.5", "sts", "sentence") == ""


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from harness.models.catalog import load_catalog; assert len(load_catalog().rows) > 30; "
        "print([m for m in ('numpy', 'torch', 'mteb', 'transformers', 'pyarrow') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_users_file_is_merged(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "models:\n  mine:\n    kind: bi-encoder\n    adapter: dense\n    path: ckpt\n"
        "    aliases: [my-model]\n    prompts: {query: 'q: '}\n",
    )
    catalog = load_catalog(path)
    row = catalog.find("My-Model")
    assert row is not None
    assert (row.title, row.path, row.prompts) == ("local/mine", str(tmp_path / "ckpt"), {"query": "q: "})
    assert catalog.find("bm25") is not None


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("models:\n  a:\n    kind: bi-encoder\n    adaptor: dense\n", 4, "unknown key.*did you mean adapter"),
        ("models:\n  a:\n    kind: bi-encoder\n", 2, "'models.a.adapter' is missing"),
        ("models:\n  a:\n    kind: encoder\n    adapter: dense\n    path: x\n", 3, "models.a.kind"),
        (FLOW + ", row: '2'}\n", 2, "models.a.row"),
        (BLOCK + "    path: x\n    languages: [no]\n", 6, "quote it"),
        (BLOCK + "    path: x\n    prompts: {qury: x}\n", 6, "query"),
        (BLOCK + "    trust: true\n    hub: a/b\n", 2, "pinned"),
        (BLOCK, 2, "one of hub, path and display"),
        (FLOW + "}\n  a: {kind: lexical}\n", 3, "already in line 2"),
        (FLOW + "}\n  bm25: {kind: lexical, adapter: b, path: y}\n", 3, "'bm25' of 'bm25' is taken"),
        (FLOW + ", aliases: [MiniLM]}\n", 2, "taken by 'all-minilm-l6-v2'"),
        (
            FLOW + "}\n  b: {kind: lexical, adapter: b, path: y, aliases: [A]}\n",
            3,
            "'a' of 'b' is taken by 'a'",
        ),
        ("models: [1]\n", 1, "models"),
        ("models: {\n", 2, "not YAML"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_catalog(path)
    assert str(caught.value).startswith(f"{path}, line {line}:")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_catalog(tmp_path / "none.yaml")


def test_built_in_file_has_no_tabs() -> None:
    assert "\t" not in BUILT_IN.read_text(encoding="utf-8")


def test_adapters_of_jina_v3_are_those_of_mteb() -> None:
    """By task type in mteb's table; where it names none, no adapter and no prompt."""
    import mteb

    theirs = mteb.get_model_meta("jinaai/jina-embeddings-v3").loader_kwargs["model_prompts"]
    types = {
        "Reranking": "reranking", "InstructionReranking": "instruction_reranking", "STS": "sts",
        "Clustering": "clustering", "Classification": "classification", "Summarization": "summarization",
        "MultilabelClassification": "multilabel", "PairClassification": "pair_classification",
        "BitextMining": "bitext",
    }  # fmt: skip
    assert {*theirs} <= {*types, "Retrieval-query", "Retrieval-document"}
    row = ROWS["jina-v3"]
    for role in ("query", "document"):
        assert route_for(row.routes, "retrieval", role) == theirs[f"Retrieval-{role}"]
        assert prompt_for(row.prompts, "mteb", "retrieval", role).startswith("Represent the ")
        for name, kind in types.items():
            assert route_for(row.routes, kind, role) == theirs.get(name, "")
            assert prompt_for(row.prompts, "card", kind, role) == ""


def test_a_key_of_routes_that_nobody_knows(tmp_path: Path) -> None:
    text = "models:\n  a: {kind: bi-encoder, adapter: dense, path: x, routes: {clustring: y}}\n"
    with pytest.raises(ConfigError, match="route key 'clustring'"):
        load_catalog(written(tmp_path, text))
    text = text.replace("clustring", "clustering").replace("dense", "static")
    with pytest.raises(ConfigError, match="routes belongs to rows with adapter: dense"):
        load_catalog(written(tmp_path, text))
