"""What docs/advisor.md says is so."""

import re
from pathlib import Path

import pytest
import yaml
from varl_common.advice_status import AdviceStatus
from varl_common.arguments import Argument
from varl_vlm_advisor.backends import installed
from varl_vlm_advisor.evaluation.command import ARGUMENTS
from varl_vlm_advisor.service.config import load_config
from varl_vlm_advisor.testing.server import BEHAVIOURS
from varl_vlm_advisor.training.command import ARGUMENTS as TRAIN_ARGUMENTS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/advisor.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def first_column(heading: str) -> set[str]:
    table = re.search(rf"^\| {heading} \|.*\n\|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table
    return set(re.findall(r"^\| `(\w+)`", table[1], re.MULTILINE))


def test_the_parameter_file_loads(tmp_path: Path) -> None:
    (whole,) = (block for block in blocks("yaml") if "ros__parameters" in block)
    path = tmp_path / "my_advisor.yaml"
    path.write_text(whole)
    assert load_config(path).model_dump()["openai"]["base_url"] == "http://localhost:8000/v1"
    for part in set(blocks("yaml")) - {whole}:
        path.write_text(yaml.safe_dump({"/**/advisor": {"ros__parameters": yaml.safe_load(part)}}))
        load_config(path)


@pytest.mark.parametrize(("command", "arguments"), [("advisor-eval", ARGUMENTS), ("advisor-train", TRAIN_ARGUMENTS)])
def test_the_commands_take_these_arguments(command: str, arguments: tuple[Argument, ...]) -> None:
    lines = [line for block in blocks("bash") for line in block.splitlines() if f"varl {command} " in line]
    assert lines
    used = {name for line in lines for name in re.findall(r"(\w+):=", line)}
    assert used <= {argument.name for argument in arguments}


def test_the_tables_are_whole() -> None:
    assert first_column("`backend`") <= set(installed())
    assert first_column("status") == {status.name for status in AdviceStatus} - {"OK"}
    assert f"a server with {len(BEHAVIOURS)} manners" in PAGE
