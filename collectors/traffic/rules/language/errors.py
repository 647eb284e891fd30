"""Why a rule is not loaded: one exception, raised where the reason is known."""


class Refused(Exception):
    """This rule cannot be loaded; the message says what is wrong, in the rule's own words."""
