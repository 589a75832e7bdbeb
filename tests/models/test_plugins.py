"""Models from elsewhere: registered in a script, or installed with an entry point."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness as h
from harness.errors import ConfigError, ModelError, UnknownNameError
from harness.models import load_model, models, register
from harness.models.base import BiEncoder
from harness.types import Float32, Texts

PLUGIN = Path(__file__).parent.parent / "plugin"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    before = dict(models._live)
    yield
    models._live.clear()
    models._live.update(before)


class Mine:
    card = h.ModelCard(name="me/mine", revision="abc123", prompts={"query": "q: "})

    def __init__(self, *, max_length: int | None = None) -> None:
        self.max_length = max_length

    def encode(self, texts: Texts) -> Float32:
        return np.ones((len(texts), 2), dtype=np.float32)


def test_registered_class() -> None:
    assert h.models.register is register
    assert register("mine")(Mine) is Mine
    model = load_model("mine")
    assert isinstance(model, BiEncoder)
    assert (model.card.name, model.card.kind, model.card.fingerprint) == ("me/mine", "bi-encoder", None)
    assert "mine" in models
    assert load_model("mine@abc123").card.revision == "abc123"
    with pytest.raises(ModelError, match="is at abc123, not at def"):
        load_model("mine@def")


def test_registered_factory_and_object() -> None:
    register("factory")(lambda: Mine(max_length=3))
    register("object")(Mine(max_length=4))
    assert [load_model(name).max_length for name in ("factory", "object")] == [3, 4]  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="is ready made: it takes no max_length"):
        load_model("object", max_length=3)


def test_options_reach_a_plugin_or_are_refused() -> None:
    register("mine")(Mine)
    assert load_model("mine", max_length=9).max_length == 9  # type: ignore[union-attr]
    assert load_model("mine+len8").max_length == 8  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="does not take dtype"):
        load_model("mine", dtype="bfloat16")


def test_prompt_policy_of_a_plugin() -> None:
    register("mine")(Mine)
    card = load_model("mine", prompts="none").card
    assert (card.prompt_policy, card.variant) == ("none", ("prompts-none",))
    assert Mine.card.variant == ()
    with pytest.raises(UnknownNameError, match="prompt policy"):
        load_model("mine", prompts="nobody")


def test_a_plugin_comes_before_the_catalog() -> None:
    register("bm25")(Mine)
    assert load_model("bm25").card.name == "me/mine"


def test_a_name_is_taken_once() -> None:
    register("mine")(Mine)
    with pytest.raises(ConfigError, match="registered twice"):
        register("mine")(Mine)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (lambda: object(), "no card of type ModelCard"),
        (lambda: type("M", (), {"card": h.ModelCard(name="a/b")})(), "bi-encoder without a method 'encode'"),
        (lambda: type("M", (), {"card": "a card"})(), "no card"),
    ],
)
def test_plugins_that_are_no_models(thing: Any, message: str) -> None:
    register("broken")(thing)
    with pytest.raises(ModelError, match=message):
        load_model("broken")


@pytest.mark.parametrize(("field", "value"), [("kind", "encoder"), ("similarity", "manhattan")])
def test_cards_are_checked(field: str, value: str) -> None:
    with pytest.raises(UnknownNameError, match=value):
        h.ModelCard(name="a/b", **{field: value})  # type: ignore[arg-type]


def test_near_names_include_plugins() -> None:
    register("my-model")(Mine)
    with pytest.raises(UnknownNameError, match="my-model"):
        load_model("my-modell")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The plugin's distribution in a folder of its own, with the metadata that an installer writes."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    target = tmp_path / "site"
    shutil.copytree(PLUGIN / "harness_test_plugin", target / "harness_test_plugin")
    info = target / f"harness_test_plugin-{project['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata)
    points = project["entry-points"]["harness.models"]
    lines = [f"{name} = {value}\n" for name, value in points.items()]
    (info / "entry_points.txt").write_text("[harness.models]\n" + "".join(lines))
    return target


def test_installed_plugin_is_found_by_its_entry_point(installed: Path, tmp_path: Path) -> None:
    code = (
        "import harness as h\n"
        "model = h.load_model('plugin-model+len2', prompts='none')\n"
        "print(model.card.name, model.card.variant, model.encode(h.Texts(['aaa'])).tolist())\n"
        "print('plugin-model' in h.models.models, h.load_model('bm25').card.name)"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "HARNESS_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "plugin/model ('prompts-none',) [[2.0, 4.0]]",
        "True harness/bm25",
    ]
    assert "plugin-model" not in models
