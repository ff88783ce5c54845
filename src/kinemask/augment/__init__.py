"""Views of a clip that keep its action."""
