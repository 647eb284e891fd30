"""The reference page has a table for each section and a row for each setting."""

from typing import Any

from settings.reference import reference


def test_sections_and_settings_are_described(kind: Any) -> None:
    page = reference(kind, "Settings", "What there is.")
    assert page.startswith("# Settings\n\nWhat there is.\n\n| setting |")
    assert "\n## `collectors.ports`\n\nListening ports.\n" in page
    assert "| `every` | duration, at least 1s, at most 1d | `5m` | How often. |" in page
    assert "| `limit` | whole number, at least 0, at most 100 | `4` | Limit \\| bound. |" in page
    assert "\n## `rules[]`\n\nOne rule.\n" in page
    assert "| `when` | text, not empty | required | Kind. |" in page


def test_every_table_row_has_four_cells(kind: Any) -> None:
    rows = [line for line in reference(kind, "S", "I.").splitlines() if line.startswith("| `")]
    assert rows
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}
