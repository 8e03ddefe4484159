"""The worst mistakes of a classifier as a page of pictures: what it mixes up, and what was labelled wrong."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from varl_common.files import write_text_atomically

from varl_robot_env.success.moments import Label, Layout
from varl_robot_env.success.training import Taught

_SHOWN = 24  # mistakes of each kind
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
ul { list-style: none; padding: 0; }
ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
figure { margin: 0; } img { width: 100%; height: auto; } figcaption { font-size: 0.9rem; }
"""


def write_page(file: Path, layout: Layout, rows: NDArray[Any], taught: Taught) -> None:
    """Write the page: what is called success and is none, and the successes that are not called so, worst first."""
    success = rows["label"] == Label.SUCCESS
    called = taught.certainties >= taught.threshold
    false = sorted(np.flatnonzero(called & ~success), key=lambda i: -taught.certainties[i])
    missed = sorted(np.flatnonzero(~called & success), key=lambda i: taught.certainties[i])
    title = f"Mistakes of the classifier of {layout.task}"
    text = (
        f"{len(rows)} moments of {len(np.unique(rows['episode']))} episodes; each is judged by a network that saw "
        f"nothing of its episode. Success is what is at least {taught.threshold:.2f} certain."
    )
    parts = [
        _section(f"Called success, and is none: {len(false)} of {int((~success).sum())}", false, rows, taught, layout),
        _section(f"Success that is missed: {len(missed)} of {int(success.sum())}", missed, rows, taught, layout),
    ]
    write_text_atomically(
        file,
        f"<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport content='width=device-width'>\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<main>\n<h1>{escape(title)}</h1>\n"
        f"<p>{escape(text)}</p>\n{''.join(parts)}</main>\n</html>\n",
    )


def _section(title: str, numbers: list[Any], rows: NDArray[Any], taught: Taught, layout: Layout) -> str:
    items = "".join(_item(int(number), rows[number], taught, layout) for number in numbers[:_SHOWN])
    return f"<h2>{escape(title)}</h2>\n" + (f"<ul>\n{items}</ul>\n" if items else "<p>None.</p>\n")


def _item(number: int, row: Any, taught: Taught, layout: Layout) -> str:
    label = Label(row["label"]).name.lower()
    who = "a person" if row["by_person"] else "geometry"
    words = (
        f"Episode {row['episode']}, step {row['step']}: {taught.certainties[number]:.2f} certain; {who} said {label}"
    )
    seen = cv2.cvtColor(np.concatenate(list(row["pictures"]), axis=1), cv2.COLOR_RGB2BGR)
    png = base64.b64encode(cv2.imencode(".png", seen)[1].tobytes()).decode()
    cameras = escape(" and ".join(layout.cameras))
    return (
        f"<li><figure><img src='data:image/png;base64,{png}' alt='{cameras}'><figcaption>{escape(words)}</figcaption>"
        "</figure></li>\n"
    )
