"""A directed graph as boxes and curves: laid out here, so that the drawing needs no script in the browser."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fast_sugiyama

HEIGHT, ROW, GAP, MARGIN = 44, 58, 64, 4
CHARACTER, PADDING, SMALLEST, MOST_CHARACTERS = 7.4, 26, 110, 32
SMALL_CHARACTER, MOST_SMALL = 6.1, 38
MOST_NODES = 140
"""More cannot be read as a drawing; the list has them all."""


@dataclass(frozen=True)
class Node:
    """A box: what it is called, what it is, and where it leads."""

    label: str
    kind: str
    url: str = ""
    is_here: bool = False


@dataclass(frozen=True)
class Box:
    """A node in its place."""

    node: Node
    x: float
    y: float
    width: float
    label: str  # as much of it as fits


@dataclass(frozen=True)
class Drawing:
    """Boxes, curves as SVG paths, and the size of it all in pixels."""

    boxes: Sequence[Box]
    curves: Sequence[str]
    width: int
    height: int


def drawn(nodes: Mapping[str, Node], edges: Sequence[tuple[str, str]]) -> Drawing | None:
    """Lay out nodes from left to right, along the edges; None without edges, or with too many nodes."""
    if not edges or len(nodes) > MOST_NODES:
        return None
    names = sorted(nodes)
    number = {name: place for place, name in enumerate(names)}
    layouts = fast_sugiyama.from_edges([(number[start], number[end]) for start, end in edges], check_layout=False)
    places = {names[int(one)]: place for one, place in layouts.dot_layout().to_dict().items() if int(one) < len(names)}
    start, end = edges[0]
    way = 1 if places[end][1] > places[start][1] else -1
    layers: dict[float, list[str]] = defaultdict(list)
    for name, (_, depth) in places.items():
        layers[way * round(depth)].append(name)
    left = min(across for across, _ in places.values())
    boxes: dict[str, Box] = {}
    x = float(MARGIN)
    for depth in sorted(layers):
        widest = max(_width(nodes[name]) for name in layers[depth])
        for name in layers[depth]:
            y = MARGIN + (places[name][0] - left) / fast_sugiyama.layout.PYDOT_SPACING * ROW
            boxes[name] = Box(nodes[name], x, y, widest, _short(nodes[name].label))
        x += widest + GAP
    curves = [_curve(boxes[start], boxes[end]) for start, end in edges]
    height = max(box.y for box in boxes.values()) + HEIGHT + MARGIN
    ordered = sorted(boxes.values(), key=lambda box: (box.x, box.y))
    return Drawing(ordered, curves, round(x - GAP + MARGIN), round(height))


def _short(label: str) -> str:
    return label if len(label) <= MOST_CHARACTERS else label[: MOST_CHARACTERS - 1] + "…"


def _width(node: Node) -> float:
    wanted = max(len(_short(node.label)) * CHARACTER, len(node.kind[:MOST_SMALL]) * SMALL_CHARACTER)
    return max(SMALLEST, wanted + PADDING)


def _curve(start: Box, end: Box) -> str:
    x1, y1, x2, y2 = start.x + start.width, start.y + HEIGHT / 2, end.x, end.y + HEIGHT / 2
    bend = max(24.0, (x2 - x1) / 2)
    return f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
