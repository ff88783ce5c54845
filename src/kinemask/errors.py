"""What a user can mend: every such error derives from one class and says what, where and how in one line."""


class KinemaskError(Exception):
    """Wrong input, params or machine. A stage ends with the message alone; anything else is a bug with a traceback."""
