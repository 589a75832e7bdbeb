"""Checkpoints that bring their own code: run only when asked, never with empty buffers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import ModelError
from harness.models.base import BiEncoder
from harness.types import Texts
from tests.models import tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
CODE = """
import torch
from transformers import BertConfig, BertModel

class OwnConfig(BertConfig):
    model_type = "own-bert"

class OwnModel(BertModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config, add_pooling_layer=False)
        BUFFER
        self.post_init()
"""


@pytest.fixture
def own(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import transformers.dynamic_module_utils as dynamic

    monkeypatch.setattr(dynamic, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tiny.copied(plain, tmp_path / "own")
    (folder / "own.py").write_text(CODE.replace("BUFFER", "pass"))
    code = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    tiny.change(folder / "config.json", model_type="own-bert", auto_map=code, architectures=["OwnModel"])
    return folder


def encode(folder: Path, cache: Path, trust: bool) -> np.ndarray:
    model = tiny.load(folder, cache, trust_remote_code=trust)
    assert isinstance(model, BiEncoder)
    return model.encode(Texts(tiny.TEXTS))


def test_own_code_runs_only_when_trusted(own: Path, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="code of its own"):
        encode(own, tmp_path, trust=False)
    np.testing.assert_allclose(
        encode(own, tmp_path, trust=True), encode(plain, tmp_path, trust=False), atol=1e-6
    )


def test_own_code_is_part_of_the_identity(own: Path, tmp_path: Path) -> None:
    before = tiny.load(own, tmp_path, trust_remote_code=True).card
    (own / "own.py").write_text((own / "own.py").read_text() + "# changed\n")
    after = tiny.load(own, tmp_path, trust_remote_code=True).card
    assert before.fingerprint != after.fingerprint
    assert before.revision != after.revision


def test_buffers_that_no_checkpoint_holds(own: Path, tmp_path: Path) -> None:
    buffer = 'self.register_buffer("slopes", torch.arange(4.0), persistent=False)'
    (own / "own.py").write_text(CODE.replace("BUFFER", buffer))
    with pytest.raises(ModelError, match=r"keeps buffers out of the checkpoint.*slopes"):
        encode(own, tmp_path, trust=True)


def test_a_buffer_that_is_stored_is_looked_at(own: Path, tmp_path: Path) -> None:
    import torch

    (own / "own.py").write_text(CODE.replace("BUFFER", 'self.register_buffer("scale", torch.ones(2))'))
    state = tiny.tensors(own)
    tiny.store(own, {**state, "scale": torch.ones(2)})
    encode(own, tmp_path, trust=True)
    tiny.store(own, {**state, "scale": torch.tensor([1.0, float("nan")])})
    with pytest.raises(ModelError, match="'scale' holds NaN or infinity"):
        encode(own, tmp_path, trust=True)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_another_repository_is_not_pinned(own: Path, tmp_path: Path, file: str) -> None:
    name = "AutoModel" if file == "config.json" else "AutoTokenizer"
    tiny.change(own / file, auto_map={name: "else/where--own.OwnModel"})
    with pytest.raises(ModelError, match="code from another repository, which the revision does not pin"):
        encode(own, tmp_path, trust=True)
