"""What a user can mend: every such error derives from one class and says what, where and how in one line."""


class KinemaskError(Exception):
    """Wrong input, params or machine: a stage ends with the message alone. Anything else is a bug."""
