"""The authority on the command line."""

from pathlib import Path
from typing import Any


def test_the_authority_is_shown_renewed_backed_up_and_restored(holdfast: Any, tmp_path: Path) -> None:
    (tmp_path / "pass").write_text("a long enough passphrase\n")
    words = ("--passphrase-file", str(tmp_path / "pass"))
    assert "generation 2" in holdfast("ca", "renew")
    before = holdfast("ca", "show")
    holdfast("ca", "backup", str(tmp_path / "backup"), *words)
    for entry in (holdfast.state / "ca").iterdir():
        entry.unlink()
    assert "no certificate authority" in holdfast("ca", "show", code=1)
    holdfast("ca", "restore", str(tmp_path / "backup"), *words)
    assert holdfast("ca", "show") == before
    assert "already holds" in holdfast("ca", "restore", str(tmp_path / "backup"), *words, code=1)
