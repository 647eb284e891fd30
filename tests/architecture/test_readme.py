"""What the README shows is true: its configuration is valid, its commands and links exist."""

import re
import subprocess
import sys
from pathlib import Path


def test_the_configuration_shown_is_valid(root: Path, tmp_path: Path) -> None:
    shown = re.findall(r"```yaml\n(.*?)```", (root / "README.md").read_text(), re.S)
    assert shown
    for number, text in enumerate(shown):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        done = subprocess.run(
            [str(Path(sys.executable).with_name("holdfast")), "check-config", "-c", str(path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr + done.stdout


def test_links_lead_somewhere(root: Path) -> None:
    pages = [root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md")]
    dead = [
        f"{page.relative_to(root)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert dead == []


def test_commands_shown_exist(root: Path) -> None:
    import click

    from agent.command import root as group

    top = group()
    names = set(re.findall(r"`holdfast ([a-z-]+)", (root / "README.md").read_text()))
    assert len(names) > 6
    assert names <= set(top.list_commands(click.Context(top)))


def test_nothing_names_this_machine_or_a_registry(root: Path) -> None:
    """No path of a developer's machine and no package registry's host stands in the tree."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout.split(b"\0")
    hosts = [
        ".".join(words)
        for words in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("deb", "debian", "org"))
    ]
    # The checkout's own place, and wherever this Python lives when that is someone's home.
    places = [str(root), *([sys.base_prefix] if sys.base_prefix.startswith(("/root/", "/home/")) else [])]
    forbidden = re.compile("|".join(map(re.escape, hosts + places)).encode())
    wrong = [
        name.decode()
        for name in names
        if name and (root / name.decode()).is_file() and forbidden.search((root / name.decode()).read_bytes())
    ]
    assert wrong == []
