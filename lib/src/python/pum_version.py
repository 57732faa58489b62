"""Versions that compare with those of every copy of the packaging library.

Deltas compare with pkg_resources.parse_version or packaging.version.parse; these can be two copies of one class,
which refuse each other.
"""

import operator
import re


def version(text):
    """The version that the text spells; ValueError when it spells none."""
    return Version(text)


try:
    from packaging.version import Version as _Version

    _key = _Version
except ImportError:
    _PARTS = re.compile(r"\s*v?(\d+(?:\.\d+)*)[-_.]?([a-z]*)[-_.]?(\d*)\s*", re.IGNORECASE)

    def _key(text):
        parts = _PARTS.fullmatch(text)
        if parts is None:
            raise ValueError("Invalid version: {!r}".format(text))
        numbers = [int(number) for number in parts.group(1).split(".")]
        while numbers and numbers[-1] == 0:
            numbers.pop()
        word = parts.group(2).lower()
        # Versions of a database have none of these; those of a library may.
        stage = 0 if not word else 1 if word == "post" else -1
        return tuple(numbers), stage, word, int(parts.group(3) or 0)

    class _Version:
        def __init__(self, text):
            _key(text)
            self.public = text
            self.release = tuple(int(number) for number in _PARTS.fullmatch(text).group(1).split("."))
            self.major, self.minor, self.micro = (self.release + (0, 0, 0))[:3]

        def __str__(self):
            return self.public

        def __repr__(self):
            return "<Version({!r})>".format(self.public)

        def __hash__(self):
            return hash(_key(self.public))


def _comparison(name):
    compare = getattr(operator, name)

    def method(self, other):
        if not hasattr(other, "public"):  # every copy of the class has it
            return NotImplemented
        return compare(_key(str(self)), _key(str(other)))

    return method


class Version(_Version):
    __hash__ = _Version.__hash__
    __eq__ = _comparison("__eq__")
    __ne__ = _comparison("__ne__")
    __lt__ = _comparison("__lt__")
    __le__ = _comparison("__le__")
    __gt__ = _comparison("__gt__")
    __ge__ = _comparison("__ge__")
