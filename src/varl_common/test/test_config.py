"""Strict configuration: what YAML makes of what a person writes is taken as meant, or told in a sentence."""

from pathlib import Path
from typing import Literal

import pytest
from varl_common.config import Config
from varl_common.errors import VarlError


class Camera(Config):
    serial: str = ""
    folder: Path = Path()
    mount: Literal["base", "off"] = "base"
    rate: float = 1.0
    retries: int = 1
    depth: bool = False


def read(folder: Path, text: str) -> Camera:
    file = folder / "camera.yaml"
    file.write_text(text)
    return Camera.from_yaml(file)


@pytest.mark.parametrize(
    "written",
    [
        *("827312071616", "0715", "0x10", "0b11", "1_000", "1.5", "1.0e+5", "+5", "-3", ".nan", ".inf"),
        *("yes", "no", "on", "true", "2024-01-01", "2024-01-01T10:00:00", "12:30:00", "~", "null", ""),
    ],
)
def test_a_text_that_yaml_takes_for_something_else_is_told_to_be_quoted(tmp_path: Path, written: str) -> None:
    with pytest.raises(VarlError, match=r"'serial': .*to YAML; a text that looks like one goes in quotes"):
        read(tmp_path, f"serial: {written}")
    assert read(tmp_path, f"serial: '{written}'").serial == written


@pytest.mark.parametrize("written", ["0815", "1e5", "y", "nan", "inf", "0o17", "a:b", "1.2.3"])
def test_a_text_that_looks_like_a_number_and_is_none_stays_as_it_is(tmp_path: Path, written: str) -> None:
    assert read(tmp_path, f"serial: {written}").serial == written


def test_what_ros_made_a_number_of_is_told_as_well() -> None:
    """ROS's own reader of parameters takes 0815 and 1e5 for numbers, where YAML's rules do not."""
    with pytest.raises(VarlError, match=r"camera: parameter 'serial': .*got 815\.0, a number to YAML; .*quotes"):
        Camera.from_dict({"serial": 815.0}, "camera")


@pytest.mark.parametrize("name", ["folder", "mount"])
def test_paths_and_choices_are_texts_too(tmp_path: Path, name: str) -> None:
    with pytest.raises(VarlError, match=rf"'{name}': .*a truth value to YAML"):
        read(tmp_path, f"{name}: off")


@pytest.mark.parametrize("name", ["rate", "retries"])
def test_a_truth_value_is_no_number(tmp_path: Path, name: str) -> None:
    with pytest.raises(VarlError, match=rf"'{name}': expected a number \(got True\)"):
        read(tmp_path, f"{name}: yes")
    assert read(tmp_path, "depth: yes").depth is True


def test_numbers_are_numbers_however_they_are_written(tmp_path: Path) -> None:
    assert read(tmp_path, "rate: 1e5").rate == 1e5
    assert read(tmp_path, "rate: 2").rate == 2.0
    assert read(tmp_path, "retries: +5").retries == 5
    for written in (".nan", ".inf", "nan"):
        with pytest.raises(VarlError, match="finite number"):
            read(tmp_path, f"rate: {written}")
