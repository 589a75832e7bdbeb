"""Prompts: which, where, and never twice."""

from __future__ import annotations

import pytest

from harness.errors import ConfigError, UnknownNameError
from harness.models.prompts import (
    KEYS,
    OTHER_KINDS,
    RETRIEVAL_KINDS,
    prompt_for,
    render,
    route_for,
    same_prompts,
    unused_prompts,
)
from harness.scorers import KINDS
from harness.types import Texts

TABLE = {"query": "Q: ", "document": "D: ", "sentence": "S: ", "clustering": "C: "}


def test_every_task_kind_is_known() -> None:
    assert {*RETRIEVAL_KINDS, *OTHER_KINDS} == set(KINDS) - {"aggregate"}
    assert set(KEYS) == {"query", "document", "sentence", *OTHER_KINDS, *RETRIEVAL_KINDS} - {"retrieval"}


@pytest.mark.parametrize(
    ("kind", "role", "card", "mteb"),
    [
        ("retrieval", "query", "Q: ", "Q: "),
        ("retrieval", "document", "D: ", "D: "),
        ("reranking", "document", "D: ", "D: "),
        ("instruction_reranking", "query", "Q: ", "Q: "),
        ("clustering", "sentence", "C: ", ""),
        ("classification", "sentence", "S: ", ""),
        ("sts", "sentence", "S: ", ""),
        ("bitext", "query", "S: ", ""),
        ("retrieval", "sentence", "S: ", ""),
    ],
)
def test_prompt_for(kind: str, role: str, card: str, mteb: str) -> None:
    assert prompt_for(TABLE, "card", kind, role) == card
    assert prompt_for(TABLE, "mteb", kind, role) == mteb
    assert prompt_for(TABLE, "none", kind, role) == ""
    assert prompt_for({}, "card", kind, role) == ""


@pytest.mark.parametrize(
    ("table", "policy", "kind", "role", "near"),
    [
        ({"qurey": "x"}, "card", "sts", "sentence", "query"),
        (TABLE, "crad", "sts", "sentence", "card"),
        (TABLE, "card", "clustring", "sentence", "clustering"),
        (TABLE, "card", "sts", "qeury", "query"),
    ],
)
def test_unknown_names(table: dict[str, str], policy: str, kind: str, role: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean {near}"):
        prompt_for(table, policy, kind, role)


def test_render() -> None:
    bare = Texts(["a", "Q: b"], role="query", route="r")
    rendered = render(bare, "Q: ")
    assert list(rendered.items) == ["Q: a", "Q: Q: b"]
    assert (rendered.prompt, rendered.role, rendered.route) == ("Q: ", "query", "r")
    assert list(bare.items) == ["a", "Q: b"]
    assert render(bare, "") == bare


@pytest.mark.parametrize("prompt", ["Q: ", ""])
def test_rendering_twice_is_an_error(prompt: str) -> None:
    with pytest.raises(ConfigError, match="carry the prompt 'Q: ' already"):
        render(render(Texts(["a"]), "Q: "), prompt)


@pytest.mark.parametrize(
    ("policy", "kinds", "unused"),
    [
        ("card", ["sts"], ("query", "document", "clustering")),
        ("card", ["sts", "clustering", "reranking"], ()),
        ("card", ["clustering"], ("query", "document", "sentence")),
        ("mteb", ["sts"], ("query", "document", "sentence", "clustering")),
        ("mteb", ["sts", "retrieval"], ("sentence", "clustering")),
        ("none", ["retrieval"], ("query", "document", "sentence", "clustering")),
    ],
)
def test_unused_prompts(policy: str, kinds: list[str], unused: tuple[str, ...]) -> None:
    table = {"query": "Q: ", "document": "D: ", "sentence": "S: ", "clustering": "C: ", "bitext": ""}
    assert unused_prompts(table, policy, kinds) == unused
    shared = {"query": "Q: ", "sentence": "Q: "}
    assert unused_prompts(shared, "card", ["sts"]) == ()


def test_same_prompts() -> None:
    assert same_prompts(TABLE, "mteb", "card", "retrieval")
    assert not same_prompts(TABLE, "mteb", "card", "sts")
    assert same_prompts({"query": "Q: "}, "mteb", "card", "sts")
    assert not same_prompts({"query": "Q: "}, "none", "card", "reranking")


def test_a_kinds_own_entry_comes_before_its_roles() -> None:
    table = {**TABLE, "reranking": "", "sts": "T: "}
    for policy in ("card", "mteb"):
        assert [prompt_for(table, policy, "reranking", role) for role in ("query", "document")] == ["", ""]
        assert prompt_for(table, policy, "retrieval", "query") == "Q: "
    assert prompt_for(table, "card", "sts", "query") == "T: "


def test_route_for() -> None:
    table = {"query": "q", "document": "d", "sentence": "s", "reranking": "r", "clustering": ""}
    found = {
        (kind, role): route_for(table, kind, role)
        for kind in ("retrieval", "instruction_reranking", "reranking") for role in ("query", "document")
    }  # fmt: skip
    assert list(found.values()) == ["q", "d", "q", "d", "r", "r"]
    assert [route_for(table, kind, "sentence") for kind in ("sts", "clustering", "triplet")] == ["s", "", "s"]
    assert route_for({}, "retrieval", "query") == ""
    with pytest.raises(UnknownNameError, match="did you mean clustering"):
        route_for(table, "clustring", "sentence")


def test_an_unknown_policy_is_told_which_there_are() -> None:
    with pytest.raises(UnknownNameError, match="known: card, mteb, none"):
        prompt_for({}, "foo", "sts", "sentence")
