"""The stock variables are groups, and a site's own go over them."""

from collectors.traffic.rules.language.groups import addresses, ports
from collectors.traffic.rules.language.variables import Variables


def test_every_stock_group_is_one() -> None:
    stock = Variables()
    assert all(addresses(f"${name}", stock.addresses).v4 for name in stock.addresses)
    assert all(ports(f"${name}", stock.ports).ranges for name in stock.ports)


def test_a_sites_own_network_changes_what_follows_from_it() -> None:
    own = Variables({"HOME_NET": "10.0.0.0/8"})
    assert addresses("$HTTP_SERVERS", own.addresses).v4 == ((0x0A000000, 0x0AFFFFFF),)
    assert Variables().addresses["HOME_NET"] != "10.0.0.0/8"
