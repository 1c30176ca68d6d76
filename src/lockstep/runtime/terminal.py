"""What commands print for people: tables, and text that cannot command the terminal."""

from collections.abc import Iterable, Sequence


def visible(text: object) -> str:
    """Show control characters instead of obeying them: names and reasons may come from anyone."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def print_table(columns: Sequence[str], rows: Iterable[Iterable[str]]) -> None:
    """Print rows under a header, without reading markup in them."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns)
    for cells in rows:
        table.add_row(*cells)
    Console(markup=False, highlight=False).print(table)
