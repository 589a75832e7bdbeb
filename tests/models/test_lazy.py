"""Naming a model costs no torch; running one costs no mteb and no sentence-transformers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HEAVY = "('torch', 'transformers', 'sentence_transformers', 'mteb', 'sklearn', 'scipy')"


def run(code: str, tmp_path: Path) -> str:
    environment = {**os.environ, "HARNESS_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_constructing_imports_no_torch(bi: Path, cross: Path, tmp_path: Path) -> None:
    code = (
        "import sys, harness as h\n"
        f"cards = [h.load_model(name).card for name in ({str(bi)!r}, {str(cross)!r}, 'bm25', 'char-ngram')]\n"
        "assert all(card.fingerprint for card in cards)\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    assert run(code, tmp_path) == "[]"


def test_encoding_imports_only_what_it_needs(bi: Path, tmp_path: Path) -> None:
    code = (
        "import sys, harness as h\n"
        f"model = h.load_model({str(bi)!r}, device='cpu')\n"
        "model.encode(h.Texts(['a']))\n"
        "print('torch' in sys.modules, 'mteb' in sys.modules, 'sentence_transformers' in sys.modules)"
    )
    assert run(code, tmp_path) == "True False False"


def test_weights_are_read_at_the_first_text(bi: Path, tmp_path: Path) -> None:
    from harness.types import Texts
    from tests.models import tiny

    folder = tiny.copied(bi, tmp_path / "m")
    model = tiny.load(folder, tmp_path)
    expected = tiny.load(bi, tmp_path).encode(Texts(["mars"]))
    found = model.encode(Texts(["mars"]))
    (folder / "model.safetensors").unlink()
    assert (model.encode(Texts(["mars"])) == found).all()
    assert (found == expected).all()
