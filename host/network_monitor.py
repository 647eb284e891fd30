"""Hears from the kernel that links, addresses, routes, routing rules, switches or filters of tc changed (rtnetlink(7))."""

from collections.abc import Iterator

from contracts.host import Stop
from host import multicast

_NETLINK_ROUTE = 0
_GROUPS = (
    1,  # RTNLGRP_LINK
    4,  # RTNLGRP_TC
    5,  # RTNLGRP_IPV4_IFADDR
    7,  # RTNLGRP_IPV4_ROUTE
    8,  # RTNLGRP_IPV4_RULE
    9,  # RTNLGRP_IPV6_IFADDR
    11,  # RTNLGRP_IPV6_ROUTE
    19,  # RTNLGRP_IPV6_RULE
    24,  # RTNLGRP_IPV4_NETCONF
    25,  # RTNLGRP_IPV6_NETCONF
)
"""Those of linux/rtnetlink.h whose changes alter a packet's way; neighbours come and go and do not."""


def changes(stop: Stop) -> Iterator[str]:
    """Yield `changed` after every burst, `overflow` when some went unheard, until `stop` is set; raises `Unavailable`."""
    return multicast.bursts(_NETLINK_ROUTE, _GROUPS, "changes of addresses and routes", stop)
