"""The house: the rooms of each package by the layers of pyproject.toml, and the imports between them, as SVG."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import grimp

_WIDTH, _HEIGHT, _GAP, _ROW = 104, 40, 10, 76


def pages(root: Path) -> dict[str, str]:
    """One picture a package, and what to say of it."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    made, text = {}, []
    for contract in contracts:
        if contract["type"] != "layers" or "containers" not in contract:
            continue
        (package,) = contract["containers"]
        layers = [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]
        edges, sizes = _imports(package)
        made[f"{package}.svg"] = _svg(package, layers, edges, sizes)
        said = "; ".join(
            f"{a} imports {', '.join(sorted(b for x, b in edges if x == a))}" for a in sorted({a for a, _ in edges})
        )
        text.append(f"### {package}\n\n![Rooms of {package}: {said}](generated/{package}.svg)")
    made["house.md"] = "\n\n".join(text) + "\n"
    return made


def _imports(package: str) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """How many modules of a room import how many of another, and how many a room has."""
    graph = grimp.build_graph(package, cache_dir=None)
    edges: Counter[tuple[str, str]] = Counter()
    sizes: Counter[str] = Counter()
    for module in graph.modules:
        if module == package:
            continue
        room = module.split(".")[1]
        sizes[room] += module.count(".") > 1 or not graph.find_children(module)
        for other in graph.find_modules_directly_imported_by(module):
            if other.count(".") and other.split(".")[1] != room:
                edges[room, other.split(".")[1]] += 1
    return edges, sizes


def _svg(package: str, layers: list[list[str]], edges: Counter[tuple[str, str]], sizes: Counter[str]) -> str:
    width = max(max(map(len, layers)) * (_WIDTH + _GAP) + _GAP, 420)
    places = {}
    for row, layer in enumerate(layers):
        # Rows are moved by turns, so that a line from the top to the bottom is seen beside the boxes between.
        left = (width - len(layer) * (_WIDTH + _GAP) + _GAP) / 2 + (len(layer) < 3) * (60 if row % 2 else -60)
        for index, room in enumerate(layer):
            places[room] = (left + (index + 0.5) * (_WIDTH + _GAP) - _GAP / 2, row * _ROW + 18)
    lines, boxes, texts = [], [], []
    for (a, b), count in sorted(edges.items()):
        (x, y), (to, below) = places[a], places[b]
        y += _HEIGHT if below > y else 0
        lines.append(
            f'<path d="M{x:g} {y}C{x:g} {y + 30} {to:g} {below - 30} {to:g} {below}" '
            f'stroke-width="{min(1 + count / 4, 4):g}"><title>{a} to {b}: {count}</title></path>'
        )
    for room, (x, y) in places.items():
        boxes.append(f'<rect x="{x - _WIDTH / 2:g}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5"/>')
        texts.append(f'<text x="{x:g}" y="{y + 17}">{room}</text><text x="{x:g}" y="{y + 33}">{sizes[room]}</text>')
    height = len(layers) * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12"><title>{package}</title>'
        f'<rect width="{width}" height="{height}" rx="8" fill="#fff"/>'
        f'<g fill="none" stroke="#7a8ca3" stroke-opacity=".7">{"".join(lines)}</g>'
        f'<g fill="#e8f0fb" stroke="#2a5c9a">{"".join(boxes)}</g>'
        f'<g fill="#111" text-anchor="middle">{"".join(texts)}</g></svg>\n'
    )
