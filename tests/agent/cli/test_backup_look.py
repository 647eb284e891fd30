"""`holdfast backup ls|find|diff|dump|cat`."""

import json
import os
import tarfile

from tests.agent.cli.backup_home import Home, home

__all__ = ["home"]


def test_ls_short_long_of_a_folder_and_as_json(home: Home) -> None:
    assert f"{home.source}/folder/two" in home.call("ls").out.splitlines()
    assert "-rw-r--r--" in home.call("ls", "--long", "latest", home.source).out
    assert f"{home.source}/folder/two" not in home.call("ls", "latest", home.source).out.splitlines()
    assert f"{home.source}/folder/two" in home.call("ls", "-R", "latest", home.source).out.splitlines()
    lines = [json.loads(line) for line in home.call("ls", "--json").out.splitlines()]
    assert lines[0]["struct_type"] == "snapshot"
    assert {line["name"] for line in lines[1:]} >= {"one", "two", "folder"}
    assert home.call("ls", "0123").code == 1


def test_nothing_there_is_said_and_is_no_success(home: Home) -> None:
    listed = home.call("ls", "latest", "/nowhere")
    assert (listed.code, listed.out, "holds nothing there" in listed.err) == (1, "", True)
    found = home.call("find", "nothing like it")
    assert (found.code, found.out, found.err) == (1, "", "nothing matches\n")
    assert "see `holdfast backup list`" in home.call("ls", "latest", "--host", "elsewhere").err


def test_find_in_all_or_one_and_by_object(home: Home) -> None:
    assert len(home.call("find", "two").out.splitlines()) == 2
    assert len(home.call("find", "-i", "-s", "latest", "TWO").out.splitlines()) == 1
    assert home.call("find", "nothing like it").code == 1
    tree = home.repository.load_snapshot(home.ids[1]).tree
    assert home.call("find", "--tree", tree).code == 0
    assert json.loads(home.call("find", "--json", "-s", home.ids[0], "one").out)["path"].endswith("/one")
    assert home.call("find", "[").code == 2


def test_diff_names_what_changed(home: Home) -> None:
    said = home.call("diff", *home.ids)
    assert f"M    {home.source}/one" in said.out.splitlines()
    assert "1 changed" in said.out
    assert json.loads(home.call("diff", "--json", *home.ids).out.splitlines()[-1])["changed_files"] == 1


def test_dump_writes_a_file_or_a_folder_as_tar(home: Home) -> None:
    import io

    assert home.call("dump", home.ids[0], f"{home.source}/one").out == "first"
    said = home.call("dump", "latest", home.source)
    with tarfile.open(fileobj=io.BytesIO(said.out.encode())) as archive:
        names = archive.getnames()
    assert any(name.endswith("folder/two") for name in names)
    assert home.call("dump", "latest", "/nowhere").code == 1


def test_cat_shows_the_pieces(home: Home) -> None:
    assert home.call("cat", "config").json["version"] == 2
    assert home.call("cat", "snapshot", home.ids[0]).json["hostname"] == "here"
    tree = home.repository.load_snapshot(home.ids[0]).tree
    assert home.call("cat", "tree", tree).json["nodes"]
    assert home.call("cat", "key", home.repository.key_id[:8]).json["kdf"] == "scrypt"
    assert home.call("cat", "nonsense").code == 2
    assert home.call("cat", "blob", "zz").code == 2


def test_what_was_changed_between_two_times_is_found(home: Home) -> None:
    os.utime(home.source / "one", (1_000_000_000, 1_000_000_000))  # 2001-09-09
    home.save()
    assert "/one" in home.call("find", "one", "--newest", "2002-01-01").out
    assert home.call("find", "one", "--oldest", "2002-01-01", "--newest", "2003-01-01 12:00").code == 1
    long = home.call("find", "one", "--newest", "2002-01-01", "--long").out
    assert "-rw-r--r--" in long
    assert home.call("find", "one", "--oldest", "yesterday").code == 2
