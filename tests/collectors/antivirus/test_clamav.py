"""What a real ClamAV says of itself: on the disk, loaded, silent; and that nothing unseen is fresh."""

import errno
import socket
import time

from contracts.clamav_options import ClamavOptions

HOUR = 3600


def test_what_is_on_the_disk_and_what_is_loaded_are_both_read(look, lab):
    row = look()
    assert (row.daemon, row.loaded_version, row.version) == ("answers", 27001, 27001)
    assert row.address == lab.address and row.engine.startswith("1.")
    assert abs(row.built_ms - time.time() * 1000) < 3600_000 and row.loaded_ms == row.built_ms
    daily = next(each for each in row.databases if each.name == "daily")
    assert (daily.form, daily.signed, daily.flaw, daily.builder) == ("cud", "unsigned", "", "tests")
    assert row.limits.known and not row.limits.alerts and row.unknown == ()


def test_a_daemon_that_did_not_reload_shows(look, lab):
    lab.put(27005, time.time())
    row = look()
    assert (row.version, row.loaded_version) == (27005, 27001)
    assert row.loaded_ms < row.built_ms + 1000


def test_the_loaded_age_is_the_daemons_own_when_the_file_is_gone(look, lab):
    first = look()
    lab.put(27005, time.time() - 90 * HOUR)
    row = look()
    assert abs(row.loaded_ms - first.loaded_ms) < 2000 and row.built_ms < first.built_ms


def test_a_daemon_that_is_gone_is_silent(looking, tmp_path):
    conf = tmp_path / "clamd.conf"
    conf.write_text(f"LocalSocket {tmp_path}/s\nDatabaseDirectory {tmp_path}\n")
    row = looking(clamav=ClamavOptions(clamd_conf=str(conf), freshclam_conf=f"{tmp_path}/none"))()
    assert row.daemon == "silent" and "no socket" in row.daemon_detail and row.built_ms == 0


def test_a_configuration_that_cannot_be_read_is_unknown_not_fresh(looking, tmp_path):
    (tmp_path / "conf").mkdir()
    look = looking(clamav=ClamavOptions(clamd_conf=f"{tmp_path}/conf", freshclam_conf=f"{tmp_path}/conf"))
    row = look()
    assert row.unknown and look.blind and row.daemon == "unknown"
    assert row.limits.known is False


def test_a_daemon_that_is_reached_by_port_alone_is_told_with_what_it_is_not_shown(looking, tmp_path, monkeypatch):
    conf = tmp_path / "clamd.conf"
    conf.write_text(
        f"TCPSocket 1\nTCPAddr 127.0.0.1\nStreamMaxLength 7M\nDatabaseDirectory {tmp_path}\nAlertExceedsMax yes\n"
    )
    look = looking(clamav=ClamavOptions(clamd_conf=str(conf), freshclam_conf=str(tmp_path / "none")))
    assert look().daemon == "silent"
    (spot,) = look.blind
    assert "7 MiB" in spot.what and "tcp:127.0.0.1:1" in spot.detail and "LocalSocket" in spot.fix

    class Confined(socket.socket):
        def __init__(self, *_):
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")  # as systemd has it

    monkeypatch.setattr("host.clamd.socket.socket", Confined)
    row = look()
    assert row.daemon == "unknown" and row.unknown, "a sandbox without network is no silent daemon"
    assert any("may not use the network" in spot.detail and "LocalSocket" in spot.fix for spot in look.blind)
