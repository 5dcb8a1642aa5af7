"""Rows as they are printed: whole, wherever they go."""

import io

from rich.console import Console

from oxbot.cli.columns import print_rows

HEADERS = ("bot", "name")
ROWS = [("0192f3c4a5b6c7d8e9f0", "one [bold]two[/bold]"), ("short", "x" * 100)]


def printed(*, terminal: bool, width: int) -> list[str]:
    """The lines that come out."""
    file = io.StringIO()
    print_rows(HEADERS, ROWS, console=Console(file=file, force_terminal=terminal, width=width, color_system=None))
    return file.getvalue().splitlines()


def test_what_is_piped_has_a_line_for_each_row_and_its_fields_are_separated_by_tabs() -> None:
    assert printed(terminal=False, width=300) == ["bot\tname", *("\t".join(row) for row in ROWS)]


def test_a_terminal_that_is_too_narrow_for_the_table_gets_the_same() -> None:
    assert printed(terminal=True, width=80) == printed(terminal=False, width=300)


def test_a_terminal_that_is_wide_enough_gets_a_table_with_every_field_whole() -> None:
    lines = printed(terminal=True, width=140)

    assert len(lines) == 6
    for row, line in zip(ROWS, lines[3:5], strict=True):
        assert all(field in line for field in row)
