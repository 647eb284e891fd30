"""The names under which decided probes are counted: every expression and statement that is generated, so that none can go missing unseen."""

ON_THE_WAY = frozenset(
    {
        "verdict jump",
        "verdict goto",
        "verdict return",
        "notrack",
        "update set",
        "meta mark set",
        "meta mark set bits",
        "meta mark set map",
        "meta mark set ct mark",
        "ct mark set",
        "ct mark set meta mark",
        "dnat",
        "dnat with port",
        "dnat map",
        "dnat map with port",
        "dnat named map",
        "dnat prefix",
        "redirect",
        "redirect map",
        "snat",
        "masquerade",
        "nat accept",
        "xt jump",
        "xt goto",
        *(
            f"xt target {name}"
            for name in "RETURN MARK CONNMARK CT DNAT REDIRECT NETMAP SNAT MASQUERADE".split()
        ),
    }
)
"""What does not itself end a packet's way but changes what follows: counted for decided probes that went through it."""
