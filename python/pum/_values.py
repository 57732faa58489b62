"""What the functions give back: plain values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Optional, TypedDict

from pum import _pum


class AttributeChange(TypedDict):
    """An attribute that differs; None where the object has none."""

    name: str
    left: Optional[str]
    right: Optional[str]


# "class" is no name for an attribute of a class.
Difference = TypedDict(
    "Difference",
    {
        "kind": str,
        "schema": Optional[str],
        "relation": Optional[str],
        "name": str,
        "change": Literal["only_left", "only_right", "changed"],
        "class": Optional[str],
        "maybe_spelling": bool,
        "attributes": "list[AttributeChange]",
    },
)
"""An object that differs: a row for pandas or polars."""


class Report:
    """The outcome of a comparison. In a notebook it shows as HTML."""

    def __init__(self, report: _pum.Report) -> None:
        self._report = report

    @property
    def same(self) -> bool:
        """Whether no difference was found."""
        return self._report.same

    @property
    def behaves_the_same(self) -> bool:
        """Whether all differences are such that a rehearsal goes on."""
        return self._report.behaves_the_same

    @property
    def differences(self) -> list[Difference]:
        """The differences, by kind and then by name, each a dictionary of the same keys: ``pandas.DataFrame(differences)``,
        ``polars.DataFrame(differences, infer_schema_length=None)`` (else polars looks at the first 100 only)."""
        return [
            {
                "kind": found["kind"],
                "schema": found["schema"],
                "relation": found["relation"],
                "name": found["name"],
                "change": found["change"],
                "class": found.get("class"),
                "maybe_spelling": found.get("maybe_spelling", False),
                "attributes": found["attributes"],
            }
            for found in self.to_dict()["differences"]
        ]

    @property
    def warnings(self) -> list[str]:
        """What should be known besides."""
        found: list[str] = self.to_dict()["warnings"]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything, in the form ``pum/check/1``."""
        document: dict[str, Any] = json.loads(self.to_json())
        return document

    def to_json(self) -> str:
        """The JSON of the form ``pum/check/1``."""
        return self._report.to_json()

    def to_text(self, verbosity: int = 1, *, width: int = 100, color: bool = False) -> str:
        """For a person: 0 a summary, 1 the differences, 2 whole definitions too."""
        return self._report.to_text(verbosity, width, color)

    def to_html(self) -> str:
        """A page in one file, which loads nothing."""
        return self._report.to_html()

    def to_junit(self) -> str:
        """JUnit XML, for CI."""
        return self._report.to_junit()

    def __bool__(self) -> bool:
        raise TypeError("a report is neither true nor false; ask for report.same")

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return "<pum.Report: the same>" if self.same else "<pum.Report: different>"

    def _repr_html_(self) -> str:
        # In a frame of its own, so that the page's styles stay with it.
        page = self.to_html().replace("&", "&amp;").replace('"', "&quot;")
        return f'<iframe sandbox="allow-scripts" style="width:100%;height:40em;border:0" srcdoc="{page}"></iframe>'


@dataclass(frozen=True)
class Dumped:
    """A dump that is complete and checked."""

    path: str
    bytes: int
    milliseconds: int
    checksums: str
    """The file beside it that holds its digests."""


@dataclass(frozen=True)
class PassedOver:
    """Errors of one class that a restore passed over."""

    kind: str
    harmless: bool
    count: int
    first: str


@dataclass(frozen=True)
class Restored:
    """What a restore did."""

    passed_over: tuple[PassedOver, ...]
    milliseconds: int


@dataclass(frozen=True)
class Baselined:
    """What a baseline did."""

    table_created: bool
    schema_created: bool
    marked: int
    """How many deltas were recorded as applied."""


@dataclass(frozen=True)
class Step:
    """A file that is run: a delta, or a ``pre-all`` or ``post-all`` file, which has neither version nor type."""

    version: Optional[str]
    name: str
    type: Optional[str]
    path: str
    milliseconds: Optional[int] = None
    """How long it took, where it was run."""
    left_behind: tuple[str, ...] = ()
    """What it left set in its session, such as ``search_path = water``, where another step followed, which did not see it."""

    def __str__(self) -> str:
        return self.name if self.version is None else " ".join(filter(None, (self.version, self.name, f"({self.type})")))


@dataclass(frozen=True)
class NearMiss:
    """A file that looks like a delta and is none."""

    path: str
    reason: str


@dataclass(frozen=True)
class Deltas:
    """The deltas of some directories, in the order in which they run. Only the names of files are read."""

    deltas: tuple[Step, ...]
    pre_all: tuple[Step, ...]
    post_all: tuple[Step, ...]
    near_misses: tuple[NearMiss, ...]

    def __iter__(self) -> Iterator[Step]:
        return iter(self.deltas)

    def __len__(self) -> int:
        return len(self.deltas)


@dataclass(frozen=True)
class DeltaInfo:
    """A line of ``info``."""

    version: Optional[str]
    name: str
    type: Optional[str]
    path: str
    status: Literal["applied", "pending", "changed", "skipped", "ignored"]
    installed_on: Optional[str] = None
    execution_time_ms: Optional[int] = None
    rehearsal: Optional[str] = None
    remark: Optional[str] = None


@dataclass(frozen=True)
class Info:
    """What is applied and what is not."""

    current_version: Optional[str]
    deltas: tuple[DeltaInfo, ...]


@dataclass(frozen=True)
class Plan:
    """What an upgrade would do. Given to ``upgrade``, nothing else is done."""

    current: Optional[str]
    reached: Optional[str]
    steps: tuple[Step, ...]
    near_misses: tuple[NearMiss, ...]
    hazards: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    """What the text of the deltas tells: what will be blocked, written anew or lost; of each file the first 1,000."""
    more_hazards: int = 0
    """How many more there are."""
    _plan: Optional[_pum.Plan] = field(default=None, repr=False, compare=False)
    _variables: Optional[dict[str, Any]] = field(default=None, repr=False, compare=False)

    @property
    def is_up_to_date(self) -> bool:
        """Whether no delta is due."""
        return all(step.version is None for step in self.steps)


@dataclass(frozen=True)
class Applied:
    """What an upgrade did."""

    before: Optional[str]
    """The version before."""
    after: Optional[str]
    """The version now."""
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class MissingRows:
    """A table that has fewer rows than the rehearsed copy."""

    table: str
    rehearsed: int
    rows: int


@dataclass(frozen=True)
class CarriedOut:
    """Production after its upgrade."""

    applied: Applied
    report: Report
    """Production compared with the upgraded copy."""
    missing_rows: tuple[MissingRows, ...]

    @property
    def as_rehearsed(self) -> bool:
        """Whether it came to what was rehearsed."""
        return self.report.behaves_the_same and not self.missing_rows


def steps(told: list[dict[str, Any]]) -> tuple[Step, ...]:
    """Steps as the library tells them."""
    return tuple(Step(**{**step, "left_behind": tuple(step.get("left_behind", ()))}) for step in told)


def near_misses(told: list[dict[str, Any]]) -> tuple[NearMiss, ...]:
    """Near misses as the library tells them."""
    return tuple(NearMiss(**near) for near in told)


def applied(told: dict[str, Any]) -> Applied:
    """What was applied, as the library tells it."""
    return Applied(told["before"], told["after"], steps(told["steps"]))


def restored(told: dict[str, Any]) -> Restored:
    """What a restore did, as the library tells it."""
    return Restored(tuple(PassedOver(**errors) for errors in told["passed_over"]), told["milliseconds"])


def plan(told: dict[str, Any], inner: Optional[_pum.Plan] = None) -> Plan:
    """A plan as the library tells it."""
    return Plan(
        told["current"],
        told["reached"],
        steps(told["steps"]),
        near_misses(told["near_misses"]),
        tuple(told["hazards"]),
        told["more_hazards"],
        inner,
    )


def carried_out(told: tuple[str, _pum.Report]) -> CarriedOut:
    """What was carried out, as the library tells it."""
    facts = json.loads(told[0])
    missing = tuple(MissingRows(**table) for table in facts["missing_rows"])
    return CarriedOut(applied(facts["applied"]), Report(told[1]), missing)
