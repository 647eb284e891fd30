"""The recovery sheet: what stands on it, that it prints, and that nothing in it can be mistaken for a command."""

from actions.backup.sheet import TARGET, WIDTH, Backup, HostFacts, Mount, Saved, User, command_lines, sheet_text

NOW = 1_700_000_000_000_000_000
FILES = Saved("cd" * 32, NOW, ["/etc", "/var"])
POSTGRES = Saved("ef" * 32, NOW, ["/databases/main"], "postgresql", "main", ["globals.sql", "a%2Fb.dump"])
HOST = HostFacts(
    hostname="web1",
    os_name="Debian",
    packages=["nginx\tinstall", "vim\tinstall"],
    chosen_packages=["nginx"],
    users=[User("anna", 1000, 1000, "/home/anna", "/bin/bash")],
    mounts=[Mount("/dev/vda1", "/", "ext4")],
    services=["nginx.service"],
    missing=["the users: /etc/passwd cannot be read"],
)


def backup(**changes: object) -> Backup:
    known = {
        "job": "system",
        "repository": "/srv/back up",
        "repository_id": "ab" * 32,
        "password_file": "/etc/holdfast/keys/system",
        "recovery": "there is no recovery key",
        "saved": [FILES, POSTGRES],
    }
    return Backup(**{**known, **changes})  # type: ignore[arg-type]


def test_the_host_the_keys_and_what_is_missing_stand_on_it() -> None:
    text = sheet_text(HOST, backup(), NOW)
    for part in (
        "web1",
        "/etc/holdfast/keys/system",
        "NOT PROVED: there is no recovery key",
        "anna 1000:1000",
        "/dev/vda1",
    ):
        assert part in text
    assert "NOT SEEN:         the users" in text
    assert "proved: the paper opens the repository" in sheet_text(HOST, backup(recovery=""), NOW)
    assert "2023-11-14 22:13:20 UTC" in text


def test_it_prints_on_a_page_and_only_commands_are_longer() -> None:
    host = HostFacts(hostname="web1", chosen_packages=[f"package-{n}" for n in range(500)], services=["x.service"] * 80)
    text = sheet_text(host, backup(copies=["sftp://web1@backup.example.org:2222//repository"]), NOW)
    assert [line for line in text.splitlines() if len(line) > WIDTH and not line.startswith("    ")] == []
    assert text.isascii()
    assert "\t" not in text


def test_commands_are_filled_in_and_quoted_and_a_copy_is_read_without_a_lock() -> None:
    lines = list(command_lines(sheet_text(HOST, backup(copies=["sftp://web1@far//r"]), NOW)))
    assert "export RESTIC_REPOSITORY='/srv/back up'" in lines
    assert f"restic restore {'cd' * 8} --target {TARGET}" in lines
    assert "export RESTIC_REPOSITORY=sftp://web1@far//r" in lines
    assert f"restic --no-lock restore {'ef' * 8} --target {TARGET}" in lines
    assert f"runuser -u postgres -- pg_restore -C -d postgres < '{TARGET}/databases/main/a%2Fb.dump'" in lines or (
        f"runuser -u postgres -- pg_restore -C -d postgres < {TARGET}/databases/main/a%2Fb.dump" in lines
    )
    assert "--target '/mnt/an other'" in "".join(command_lines(sheet_text(HOST, backup(), NOW, "/mnt/an other")))


def test_every_product_says_how_it_is_loaded() -> None:
    saved = [
        Saved("01" * 32, NOW, ["/databases/m"], "mysql", "m", ["users.sql", "shop.sql"]),
        Saved("02" * 32, NOW, ["/databases/r"], "redis", "r", ["dump.rdb"]),
        Saved("03" * 32, NOW, ["/databases/s"], "sqlite", "s", ["var/lib/app/data.db"]),
        Saved("04" * 32, NOW, ["/databases/c"], "command", "c", ["ldap.ldif"]),
    ]
    lines = list(command_lines(sheet_text(HOST, backup(saved=saved), NOW)))
    mysql = [line for line in lines if line.startswith("mariadb")]
    assert [line.rpartition("/")[2] for line in mysql] == ["shop.sql", "users.sql"], "users last"
    assert f"cp {TARGET}/databases/r/dump.rdb /var/lib/redis/dump.rdb" in lines
    assert f"cp {TARGET}/databases/s/var/lib/app/data.db /var/lib/app/data.db" in lines
    assert f"ls -l {TARGET}/databases/c/ldap.ldif" in lines
    assert "There is no snapshot of files." in sheet_text(HOST, backup(saved=saved), NOW)


def test_a_name_with_a_line_end_makes_no_command() -> None:
    evil = Saved("05" * 32, NOW, ["/databases/c"], "command", "c", ["x\n    rm -rf /"])
    host = HostFacts(hostname="h\n    rm -rf /", users=[User("u\n    reboot", 0, 0, "/", "/bin/sh")])
    lines = list(command_lines(sheet_text(host, backup(saved=[FILES, evil]), NOW)))
    assert not any(line.startswith(("rm", "reboot")) for line in lines)
