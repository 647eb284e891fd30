"""What handlers are given."""

from types import SimpleNamespace

import pytest

from console.web.context import address_of, session_of


def test_a_public_route_that_asks_for_a_person_is_a_defect():
    with pytest.raises(AssertionError):
        session_of(SimpleNamespace(user=None))


def test_a_peer_without_an_address_is_nobody():
    assert address_of(SimpleNamespace(client=None)) == ""
    assert address_of(SimpleNamespace(client=SimpleNamespace(host="192.0.2.1"))) == "192.0.2.1"
