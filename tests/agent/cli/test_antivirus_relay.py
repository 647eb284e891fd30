"""`holdfast antivirus relay` says what is wrong with its words."""

import pytest

from agent import command


@pytest.mark.parametrize("listen", ["8446", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_refused(listen, tmp_path, capsys):
    assert command.run(["antivirus", "relay", "--listen", listen, "--folder", str(tmp_path)]) == 2
    assert "no address with port" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_refused_with_what_would_do(tmp_path, capsys):
    assert command.run(["antivirus", "relay", "--folder", f"{tmp_path}/none"]) == 2
    assert "antivirus update --force" in capsys.readouterr().err
