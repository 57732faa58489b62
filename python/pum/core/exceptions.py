"""The exceptions of pum 0.10.

Every error of pum is a :class:`PumException` too, so that old code that catches it goes on doing so.
"""


class PumException(Exception):
    """Stops what is going on; Python deltas may raise it with a message for the person who runs the upgrade."""


class PgDumpFailed(Exception):
    """``pg_dump`` failed."""


class PgDumpCommandError(Exception):
    """``pg_dump`` cannot be run."""


class PgRestoreFailed(Warning):
    """``pg_restore`` had errors."""


class PgRestoreCommandError(Exception):
    """``pg_restore`` cannot be run."""
