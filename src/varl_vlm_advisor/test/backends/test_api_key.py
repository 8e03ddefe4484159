"""Whose key goes to which server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError
from varl_vlm_advisor.backends.api_key import hide, is_openai, key_place, read_key
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.testing.server import Call, Handler, Server, good_answer
from varl_vlm_advisor.types import State

OPENAI, OWN = "https://api.openai.com/v1", "http://localhost:8000/v1"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-private")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-private")
    monkeypatch.setenv("MINE", "sk-mine")


@pytest.mark.parametrize(
    ("url", "variable", "key"),
    [
        (OPENAI, "", "sk-of-openai"),
        ("https://eu.api.openai.com/v1", "", "sk-of-openai"),
        (OPENAI, "MINE", "sk-mine"),
        (OWN, "", ""),
        (OWN, "MINE", "sk-mine"),
        (OWN, "OPENAI_API_KEY", "sk-of-openai"),  # named, so meant
        ("https://openrouter.ai/api/v1", "", ""),
        ("https://api.openai.com.evil.example/v1", "", ""),
        ("https://evil.example/api.openai.com", "", ""),
        ("http://api.openai.com/v1", "", ""),  # not encrypted
    ],
)
def test_openais_key_goes_to_openai_only_unless_it_is_named(url: str, variable: str, key: str) -> None:
    assert read_key(url, variable, "") == key


def test_a_file_goes_before_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sk-of-the-file\n")
    assert read_key(OPENAI, "MINE", str(path)) == "sk-of-the-file"
    assert key_place(OPENAI, "MINE", str(path)) == str(path)


def test_openai_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(VarlError, match=r"put it into \$OPENAI_API_KEY or openai.api_key_file"):
        read_key(OPENAI, "", "")
    assert not is_openai(OWN)


def test_words_are_no_secrets() -> None:
    assert hide("dx is -large", "x") == "dx is -large"
    assert hide("you sent sk-of-openai!", "sk-of-openai") == "you sent ***!"


def test_nothing_of_openais_account_reaches_another_server(
    advisor: Callable[..., Advisor], env: EnvDescription, transition: Callable[..., State]
) -> None:
    pytest.importorskip("openai")
    seen: list[str] = []

    def look(server: Server, handler: Handler, call: Call) -> None:
        seen.append(str(handler.headers).lower())
        handler.say(good_answer(call))

    with Server(look) as server:
        settings: dict[str, Any] = {
            "base_url": f"{server.url}/",
            "model": "m",
        }  # a slash at the end makes no difference
        answers = advisor(backend="openai", openai=settings).ask(env, [transition()], 20.0).result(30)
    assert answers.advice[0].status == AdviceStatus.OK
    assert "authorization: bearer none" in seen[0]
    assert "private" not in seen[0]
    assert "sk-" not in seen[0]
