"""Domains of one's own."""

import contextlib

import pytest
from varl_common.errors import VarlError
from varl_common.host.domain import free_domain


def test_each_is_held_once_and_given_back() -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(free_domain()) for _ in range(20)]
        assert len(set(held)) == 20
        assert all(1 <= domain <= 101 for domain in held)
    with free_domain() as domain:
        assert domain


def test_when_all_are_held_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with free_domain() as domain:
        monkeypatch.setattr("varl_common.host.domain._DOMAINS", [domain])
        with pytest.raises(VarlError, match="every DDS domain"), free_domain():
            pass
