"""Where ClamAV is: as the settings say, else where the distributions have it."""

from contracts.clamav_options import CLAMD_CONFS, ClamavOptions


def test_a_setting_takes_the_place_of_the_known_ones():
    assert ClamavOptions().clamd_confs() == CLAMD_CONFS
    assert ClamavOptions(clamd_conf="/x").clamd_confs() == ("/x",)
    assert ClamavOptions(freshclam_conf="/y").freshclam_confs() == ("/y",)
