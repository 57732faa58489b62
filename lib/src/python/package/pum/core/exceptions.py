"""Exceptions that Python deltas may raise."""


class PumException(Exception):
    """Stops the upgrade with a message for the person who runs it."""
