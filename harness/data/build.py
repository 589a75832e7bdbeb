"""Checked columns into examples, one builder a kind; the one place that knows the row formats."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from harness.data.examples import (
    BitextExamples,
    CandidateExamples,
    ClusterExamples,
    Examples,
    LabelledExamples,
    PairExamples,
    RankingExamples,
    SummaryExamples,
    TripletExamples,
)
from harness.data.judged import four_tables
from harness.data.packed import Packed, positions
from harness.data.rows import Columns, unique_ids
from harness.data.template import fill, parse_template, template_columns
from harness.errors import DataError

RANKING = ("retrieval", "reranking", "instruction_reranking")
LABELLED = ("classification", "multilabel")

_PAIR = {"sentence1": "a string", "sentence2": "a string"}

# Kind, part of a ranking kind, or row format of a scorer, to the fields of its rows.
FIELDS: dict[str, dict[str, str]] = {
    "sts": {**_PAIR, "score": "a number"},
    "pair_classification": {**_PAIR, "label": "0 or 1"},
    "classification": {"text": "a string", "label": "an integer or a string"},
    "multilabel": {"text": "a string", "label": "a list of integers or strings"},
    "clustering": {"sentences": "a string or a list of strings", "labels": "a label, or a list of them"},
    "summarization": {
        "text": "a string",
        "machine_summaries": "a list of strings",
        "human_summaries": "a list of strings",
        "relevance": "a list of numbers",
    },
    "bitext": dict(_PAIR),
    "triplet": {"anchor": "a string", "entailment": "a string", "negative": "a string"},
    "cross_encoder_reranking": {
        "query": "a string",
        "positive": "a string or a list of strings",
        "negative?": "a string or a list of strings",
        "documents?": "a list of strings",
    },
    "corpus": {"id": "an id (a string or an integer)", "title?": "a string or null", "text": "a string"},
    "queries": {
        "id": "an id (a string or an integer)",
        "text": "a query (a string, or the turns of a conversation)",
        "instruction?": "a string or null",
    },
    "qrels": {
        "query_id": "an id (a string or an integer)",
        "corpus_id": "an id (a string or an integer)",
        "score": "a whole number",
    },
    "candidates": {"query_id": "an id (a string or an integer)", "corpus_ids": "a list of ids"},
    # The same in fewer tables, see `harness.data.judged`.
    "asked": {
        "id?": "an id (a string or an integer)",
        "text": "a query (a string, or the turns of a conversation)",
        "instruction?": "a string or null",
        "positive": "an id, or a list of ids",
        "negative?": "an id, or a list of ids",
    },
    "texts": {
        "query": "a string",
        "positive": "a string or a list of strings",
        "negative?": "a string or a list of strings",
    },
}


def build(
    kind: str, parts: Mapping[str, Columns], where: Mapping[str, str], document: str | None = None
) -> Examples:
    """Examples of one split and subset.

    Args:
        parts: checked columns by part: "rows" (and "train" for classification and multilabel), or
            "corpus", "queries", "qrels" and perhaps "candidates" for the ranking kinds, or the fewer
            that `harness.data.judged` names.
        where: part to the name of its file or table, for messages.
        document: template of a document's text, such as "{title} {text}", of columns of the corpus;
            default title and text joined by a space and stripped.

    Raises:
        DataError: rows that contradict each other (duplicate ids, lists of unequal length ...).
    """
    if kind in RANKING:
        return _ranking(*four_tables(kind, parts, where), document)
    rows = parts["rows"]
    if kind == "sts":
        return PairExamples(rows["sentence1"], rows["sentence2"], np.array(rows["score"], dtype=np.float64))
    if kind == "pair_classification":
        return PairExamples(rows["sentence1"], rows["sentence2"], np.array(rows["label"], dtype=np.int64))
    if kind in LABELLED:
        train = parts["train"]
        return LabelledExamples(train["text"], train["label"], rows["text"], rows["label"])
    if kind == "clustering":
        return _clustering(rows, where["rows"])
    if kind == "summarization":
        return _summaries(rows, where["rows"])
    if kind == "bitext":
        gold = np.arange(len(rows["sentence1"]), dtype=np.int64)
        return BitextExamples(rows["sentence1"], rows["sentence2"], gold)
    if kind == "cross_encoder_reranking":
        return _with_candidates(rows, where["rows"])
    return TripletExamples(rows["anchor"], rows["entailment"], rows["negative"])


def document_text(title: str | None, text: str) -> str:
    """The text of a document as mteb gives it to a model: title, a space, text; stripped."""
    return f"{title} {text}".strip() if title else text.strip()


def query_text(text: str | Sequence[Any], instruction: str | None) -> str:
    """The text of a query: followed by its instruction; turns of a conversation joined, instruction first."""
    if isinstance(text, str):
        return f"{text} {instruction}" if instruction is not None else text
    turns = [turn if isinstance(turn, str) else f"{turn['role']}: {turn['content']}" for turn in text]
    joined = "; ".join(turns)
    return f"{instruction} {joined}" if instruction is not None else joined


def _ranking(parts: Mapping[str, Columns], where: Mapping[str, str], document: str | None) -> RankingExamples:
    corpus, queries, judged = parts["corpus"], parts["queries"], parts["qrels"]
    doc_ids = unique_ids(corpus["id"], where["corpus"])
    documents = document_texts(corpus, document)
    qrels: dict[str, dict[str, int]] = {}
    for query, doc, grade in zip(judged["query_id"], judged["corpus_id"], judged["score"], strict=True):
        own = qrels.setdefault(str(query), {})
        if own.setdefault(str(doc), int(grade)) != int(grade):
            raise DataError(f"{where['qrels']}: document {doc!r} has two grades for query {query!r}")
    for name in queries.get("judged", ()):  # judged, perhaps with nothing found relevant
        qrels.setdefault(name, {})
    instructions = queries.get("instruction") or [None] * len(queries["id"])
    kept = [
        (name, query_text(text, instruction))
        for name, text, instruction in zip(
            unique_ids(queries["id"], where["queries"]), queries["text"], instructions, strict=True
        )
        if name in qrels
    ]
    if not kept:
        raise DataError(f"{where['qrels']}: none of its query ids stands in {where['queries']}")
    names = [name for name, _ in kept]
    candidates = parts.get("candidates")
    listed: dict[str, list[str]] | None = None
    if candidates is not None:
        listed = {
            name: [str(doc) for doc in docs]
            for name, docs in zip(
                unique_ids(candidates["query_id"], where["candidates"]), candidates["corpus_ids"], strict=True
            )
        }
    judged_docs = {doc for name in names for doc in qrels[name]}
    known = positions(doc_ids, judged_docs | {doc for docs in (listed or {}).values() for doc in docs})
    if not judged_docs & known.keys():
        raise DataError(f"{where['qrels']}: none of its document ids stands in {where['corpus']}")
    if listed is not None:
        _candidates_exist(listed, known, where["candidates"])
    return RankingExamples(
        names, [text for _, text in kept], doc_ids, documents, {n: qrels[n] for n in names}, listed
    )


def document_texts(corpus: Columns, template: str | None) -> Sequence[str]:
    """The texts of the documents; of packed columns, what has been read is let go."""
    pieces = None if template is None else parse_template(template)
    fields = ["title", "text"] if pieces is None else template_columns(str(template))
    count = len(corpus["id"])
    parts = [corpus.get(field) or [None] * count for field in fields]
    columns = (
        part.drained() if isinstance(part, Packed) and field != "id" else part
        for field, part in zip(fields, parts, strict=True)
    )
    rows = zip(*columns, strict=True)
    if pieces is None:
        joined = (document_text(title, text) for title, text in rows)
    else:
        joined = (fill(pieces, dict(zip(fields, row, strict=True))) for row in rows)
    return Packed(joined) if any(isinstance(part, Packed) for part in parts) else list(joined)


def _candidates_exist(listed: Mapping[str, Sequence[str]], corpus: Collection[str], where: str) -> None:
    for number, (query, docs) in enumerate(listed.items(), 1):
        for doc in docs:
            if doc not in corpus:
                raise DataError(
                    f"{where}, row {number}: candidate {doc!r} of query {query!r} is not in the corpus"
                )


def _clustering(rows: Columns, where: str) -> ClusterExamples:
    texts: list[str] = []
    labels: list[tuple[Any, ...]] = []
    offsets = [0]
    by_set = isinstance(rows["sentences"][0], list)
    for number, (sentences, own) in enumerate(zip(rows["sentences"], rows["labels"], strict=True), 1):
        if isinstance(sentences, list) != by_set:
            raise DataError(f"{where}, row {number}: rows of one text and rows of a whole set are mixed")
        if not by_set:
            texts.append(sentences)
            labels.append(tuple(own) if isinstance(own, list) else (own,))
            continue
        if not isinstance(own, list) or len(own) != len(sentences):
            raise DataError(f"{where}, row {number}: {len(sentences)} sentences need as many labels")
        texts.extend(sentences)
        labels.extend(tuple(label) if isinstance(label, list) else (label,) for label in own)
        offsets.append(len(texts))
    if not by_set:
        offsets.append(len(texts))
    return ClusterExamples(texts, labels, np.array(offsets, dtype=np.int64))


def _with_candidates(rows: Columns, where: str) -> CandidateExamples:
    count = len(rows["query"])
    positives = [_listed(text) for text in rows["positive"]]
    negatives = [None if text is None else _listed(text) for text in rows.get("negative", [None] * count)]
    documents = list(rows.get("documents", [None] * count))
    for number, (good, bad, ranked) in enumerate(zip(positives, negatives, documents, strict=True), 1):
        if (bad is None) == (ranked is None):
            raise DataError(f"{where}, row {number}: exactly one of 'negative' and 'documents' is due")
        if ranked is not None and not ranked:
            raise DataError(f"{where}, row {number}: 'documents' is empty; there is nothing to rank")
        others = [text for text in ranked if text not in good] if ranked is not None else bad or []
        if good and len(good) + len(others) == 1:
            raise DataError(f"{where}, row {number}: one document in all is no ranking; leave the row out")
    return CandidateExamples(rows["query"], positives, negatives, documents)


def _listed(text: str | Sequence[str]) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def _summaries(rows: Columns, where: str) -> SummaryExamples:
    for number, (machine, grades, human) in enumerate(
        zip(rows["machine_summaries"], rows["relevance"], rows["human_summaries"], strict=True), 1
    ):
        if len(machine) != len(grades) or not machine or not human:
            raise DataError(
                f"{where}, row {number}: {len(machine)} machine summaries, {len(grades)} grades, "
                f"{len(human)} human summaries; each machine summary needs a grade, and one human summary"
            )
    return SummaryExamples(
        rows["text"], rows["machine_summaries"], rows["human_summaries"], rows["relevance"]
    )
