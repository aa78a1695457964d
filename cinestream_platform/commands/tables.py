"""How tables look in a terminal."""

from typing import Any

from rich.box import SIMPLE_HEAD

NARROW: dict[str, Any] = {"box": SIMPLE_HEAD, "show_edge": False, "pad_edge": False, "padding": (0, 1, 0, 0)}
"""Arguments of ``rich.table.Table``: without lines between columns, so that 80 columns are enough."""
