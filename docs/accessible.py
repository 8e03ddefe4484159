"""What the theme's pages lack for who does not see or point: names, levels, boxes that the keyboard scrolls."""

from __future__ import annotations

import re
from pathlib import Path

# What a page has, and what stands in its place; none of what stands there is found again.
MENDED = {
    '<p class="caption" role="heading"><': '<p class="caption" role="heading" aria-level="2"><',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="On this page">',
    '<aside class="toc-drawer no-toc">': '<aside class="toc-drawer no-toc" aria-label="On this page">',
    '<th class="head"><p></p></th>': "<td></td>",
    '\n<div id="search-results"></div>': '\n<h1>Search</h1><div id="search-results"></div>',
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper colwidths-auto docutils container">': (
        '<div class="table-wrapper colwidths-auto docutils container" tabindex="0">'
    ),
}
# On a narrow screen a wide picture keeps the size at which its words can be read, and scrolls in a box of its own.
_PICTURE = re.compile(r'(?<!class="picture" tabindex="0">)<img alt="[^"]*" src="[^"]*_images/[^"]*" />')


def mend(folder: Path) -> None:
    """Mend each page below ``folder``."""
    for page in folder.rglob("*.html"):
        text = mended = page.read_text(encoding="utf-8")
        for old, new in MENDED.items():
            mended = mended.replace(old, new)
        mended = _PICTURE.sub(r'<span class="picture" tabindex="0">\g<0></span>', mended)
        if mended != text:
            page.write_text(mended, encoding="utf-8")
