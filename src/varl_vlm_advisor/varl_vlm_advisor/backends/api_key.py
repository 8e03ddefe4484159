"""Whose key goes to which server."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from varl_common.errors import VarlError

OPENAI_VARIABLE = "OPENAI_API_KEY"
SHORTEST_SECRET = 8
"""Characters. A shorter key is a placeholder that servers without keys are given ("none", "x"): it stands in words."""


def is_openai(base_url: str) -> bool:
    """Whether the address is OpenAI's own, a regional one such as eu.api.openai.com included."""
    url = urlsplit(base_url)
    host = (url.hostname or "").lower()
    return url.scheme == "https" and (host == "api.openai.com" or host.endswith(".api.openai.com"))


def key_place(base_url: str, variable: str, file: str) -> str:
    """Where the key for the server is kept, for people: a file, an environment variable, or nowhere.

    ``OPENAI_API_KEY`` is for OpenAI's own address only, unless ``variable`` names it.
    """
    if file:
        return file
    if not variable and not is_openai(base_url):
        return "openai.api_key_env, which names none"
    return f"${variable or OPENAI_VARIABLE}"


def read_key(base_url: str, variable: str, file: str) -> str:
    """The key for the server at ``base_url``, from ``file`` or else the environment; empty where it needs none.

    Raises:
        VarlError: the file cannot be read, ``variable`` is not set, the key is not one line of ASCII, or OpenAI is
            asked without one.
    """
    if file:
        try:
            key = Path(file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise VarlError(f"advisor: openai.api_key_file {file!r} cannot be read") from None
    else:
        if (
            variable and variable not in os.environ and not is_openai(base_url)
        ):  # not repeated: it may be the key itself
            raise VarlError(
                "advisor: openai.api_key_env names no environment variable that is set; set it, or leave it out"
            )
        variable = variable or (OPENAI_VARIABLE if is_openai(base_url) else "")
        key = os.environ.get(variable, "").strip() if variable else ""
    if not key and is_openai(base_url):
        place = key_place(base_url, variable, file)
        raise VarlError(f"advisor: {base_url} wants a key; put it into {place} or openai.api_key_file")
    if not (key.isascii() and key.isprintable()):
        raise VarlError("advisor: the key for openai is not a line of printable ASCII; check where it is kept")
    return key


def hide(text: str, secret: str) -> str:
    """``text``, which people may read, without ``secret``, a key that a server or a model may repeat."""
    return text.replace(secret, "***") if len(secret) >= SHORTEST_SECRET else text
