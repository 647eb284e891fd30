"""Files are scanned whatever way clamd is reached, and those over its limits are not taken for clean."""

import pytest

from collectors.antivirus.options import Options
from collectors.antivirus.scanner import Scanner
from contracts.clamav_options import ClamavOptions
from contracts.errors import Unavailable, Why
from host.linux import LinuxHost
from tests import clamav_lab
from tests.free_port import free_port


def scanned(conf, *paths, **more):
    """What was found, and what was skipped."""
    found = []
    options = Options(clamav=ClamavOptions(clamd_conf=str(conf)), **more)
    scanner = Scanner(LinuxHost(), options, found.append)
    scanner.scan([str(path).encode() for path in paths])
    return [event.key.rpartition("/")[2] for event in found], {
        key.rpartition(b"/")[2]: why for key, why in scanner.skipped.items()
    }


@pytest.fixture(scope="module")
def by_port():
    """A clamd that listens on a port alone."""
    port = free_port()
    with clamav_lab.running(TCPSocket=str(port), TCPAddr="127.0.0.1", MaxFileSize="1M") as lab:
        conf = lab.folder / "port.conf"
        conf.write_text(f"TCPSocket {port}\nTCPAddr 127.0.0.1\nMaxFileSize 1M\n")
        yield lab, conf


def test_by_port_the_content_is_sent(by_port, tmp_path):
    (tmp_path / "bad").write_bytes(clamav_lab.EICAR)
    (tmp_path / "good").write_bytes(b"hello")
    assert scanned(by_port[1], tmp_path / "bad", tmp_path / "good", tmp_path / "gone") == (["bad"], {})


def test_a_file_over_clamds_limit_is_skipped_although_clamd_says_ok(by_port, tmp_path):
    (tmp_path / "large").write_bytes(bytes(2 << 20) + clamav_lab.EICAR)
    lab, conf = by_port
    for each in (conf, lab.clamd_conf):
        found, skipped = scanned(each, tmp_path / "large")
        assert found == [] and "MaxFileSize" in skipped[b"large"]


def test_without_a_daemon_nothing_is_scanned(tmp_path):
    (tmp_path / "conf").write_text("")
    with pytest.raises(Unavailable) as none:
        scanned(tmp_path / "conf", tmp_path / "bad")
    assert none.value.why is Why.NOT_PRESENT
