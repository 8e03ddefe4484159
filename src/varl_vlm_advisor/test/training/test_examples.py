"""Examples on disk are those that were written, or a sentence."""

from pathlib import Path

import pytest
from varl_common.errors import VarlError
from varl_vlm_advisor.training import examples
from varl_vlm_advisor.training.examples import Example


def test_examples_come_back(tmp_path: Path) -> None:
    made = [
        Example("be kind", "where is it? \u00e9", b"\xff\xd8", '{"id": 1}', {"tool": [1, 2]}),
        Example("", "no picture", b"", "{}", {}),
    ]
    examples.save(made, tmp_path / "deep" / "one.npz")
    assert examples.load(tmp_path / "deep" / "one.npz") == made


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.npz").write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(VarlError, match="remove it"):
        examples.load(tmp_path / "one.npz")
