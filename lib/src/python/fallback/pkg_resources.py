"""The few names of setuptools' pkg_resources that Python deltas use, for a Python that has it no longer."""

from importlib.metadata import PackageNotFoundError as DistributionNotFound
from importlib.metadata import version as _installed_version

from pum_version import version as parse_version

__all__ = ["DistributionNotFound", "get_distribution", "parse_version"]


class _Distribution:
    def __init__(self, name):
        self.project_name = name
        self.version = _installed_version(name)
        self.parsed_version = parse_version(self.version)


def get_distribution(name):
    """The installed distribution of that name."""
    return _Distribution(name)


def declare_namespace(name):
    """Nothing to do since Python 3.3."""
