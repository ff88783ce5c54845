"""Which coordinates a view hides."""
