"""The drawing of a lineage: every node has a place of its own, and edges lead to the right."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from cinestream_platform.dashboards.lineage.drawing import HEIGHT, MOST_NODES, Node, drawn

EDGES = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda edge: edge[0] < edge[1]), min_size=1, max_size=25
)


@given(EDGES)
def test_no_two_boxes_overlap_and_every_edge_leads_to_the_right(pairs: list[tuple[int, int]]) -> None:
    edges = list(dict.fromkeys((f"n{start}", f"n{end}") for start, end in pairs))
    nodes = {name: Node(f"table {name}", "star") for edge in edges for name in edge}
    drawing = drawn(nodes, edges)
    assert drawing is not None
    assert len(drawing.boxes) == len(nodes)
    assert len(drawing.curves) == len(edges)
    for one, other in combinations(drawing.boxes, 2):
        apart = abs(one.y - other.y) >= HEIGHT or one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart, (one, other)
    place = {box.node.label.removeprefix("table "): box for box in drawing.boxes}
    assert all(place[start].x + place[start].width <= place[end].x for start, end in edges)
    assert all(box.x >= 0 and box.x + box.width <= drawing.width for box in drawing.boxes)
    assert all(box.y >= 0 and box.y + HEIGHT <= drawing.height for box in drawing.boxes)


def test_what_cannot_be_read_as_a_drawing_is_not_drawn() -> None:
    many = {f"n{place}": Node(f"n{place}", "mart") for place in range(MOST_NODES + 1)}
    assert drawn(many, [("n0", name) for name in list(many)[1:]]) is None
    assert drawn({}, []) is None
