"""How a command finds the agent: by socket, by environment, by configuration."""

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from agent.cli.reach import DEFAULT_SOCKET, agent_option, control_socket
from settings.errors import ConfigErrors


@click.command()
@agent_option
def where(path: Path) -> None:
    click.echo(path)


def asked(*words: str, **environment: str) -> str:
    return CliRunner(env=environment).invoke(where, list(words), catch_exceptions=False).output.strip()


def test_the_default_a_socket_and_the_environment() -> None:
    assert asked() == str(DEFAULT_SOCKET)
    assert asked("--socket", "/x.sock") == "/x.sock"
    assert asked(HOLDFAST_CONTROL="/y.sock") == "/y.sock"


def test_a_configuration_leads_to_its_agent(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("directories: {runtime: /r}\n")
    assert asked("-c", str(file)) == "/r/control.sock"
    (tmp_path / "agent.d").mkdir()
    (tmp_path / "agent.d" / "10.yaml").write_text("control: {socket: /s.sock}\n")
    assert asked("-c", str(file)) == "/s.sock"


def test_a_mistake_elsewhere_in_the_file_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("colectors: 5\ndirectories: {runtime: /r}\n")
    assert control_socket(tmp_path / "agent.yaml") == Path("/r/control.sock")
    (tmp_path / "agent.yaml").write_text("directories: 7\n")
    assert control_socket(tmp_path / "agent.yaml") == DEFAULT_SOCKET


def test_a_file_that_does_not_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="cannot be read"):
        control_socket(tmp_path / "none.yaml")


def test_a_pipe_in_place_of_the_configuration_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "agent.yaml")
    with pytest.raises(ConfigErrors, match="is a pipe or socket"):
        control_socket(tmp_path / "agent.yaml")
