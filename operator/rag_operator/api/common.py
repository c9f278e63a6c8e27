"""What both resources share: the base classes, references, and the markers that the CRD generator reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from rag_operator.api.formats import DataKey, ObjectName, Quantity


class Model(BaseModel):
    """A part of a spec: frozen, camelCase outside, unknown fields refused. Field docstrings become the CRD's texts."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )

    def to_dict(self) -> dict[str, Any]:
        """As YAML would write it: camelCase, nothing that is absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True, slots=True)
class Invariant:
    """What must hold of a model wherever it stands: CEL over `self` for the API server, an equal predicate here."""

    cel: str
    message: str
    holds: Callable[[Any], bool]


class Checked(Model):
    """A part of a spec with invariants of its own."""

    invariants: ClassVar[tuple[Invariant, ...]] = ()

    @model_validator(mode="after")
    def _keeps_its_invariants(self) -> Self:
        if broken := [one.message for one in self.invariants if not one.holds(self)]:
            raise ValueError("; ".join(broken))
        return self


class StatusModel(Model):
    """A part of a status. Unknown fields are passed over, because a newer operator may have written them."""

    model_config = ConfigDict(extra="ignore")


@dataclass(frozen=True, slots=True)
class ListMap:
    """Marks a list of named things: server-side apply merges it by `key`, and keys are unique."""

    key: str


@dataclass(frozen=True, slots=True)
class ListSet:
    """Marks a list of unique scalars."""


@dataclass(frozen=True, slots=True)
class DateTime:
    """Marks an RFC 3339 time in UTC."""


T = TypeVar("T")


def unique_by(attribute: str) -> AfterValidator:
    """Refuse a list in which two items have the same `attribute`."""

    def check(items: tuple[T, ...]) -> tuple[T, ...]:
        seen: set[object] = set()
        for item in items:
            key = getattr(item, attribute)
            if key in seen:
                raise ValueError(f"two items have the {attribute} {key!r}: give each its own")
            seen.add(key)
        return items

    return AfterValidator(check)


def _unique(items: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(items)) < len(items):
        raise ValueError("an entry occurs twice: remove one")
    return items


unique = AfterValidator(_unique)
Time = Annotated[str, DateTime(), Field(max_length=40)]
Percent = Annotated[int, Field(ge=1, le=100)]


class DeletionPolicy(StrEnum):
    """What happens to the data when the resource is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class NameRef(Model):
    """Names an object of the same namespace."""

    name: ObjectName
    """Name of the object, in the same namespace."""


class SecretKeyRef(Model):
    """Names a key of a Secret of the same namespace."""

    name: ObjectName
    """Name of the Secret, in the same namespace."""
    key: DataKey = DataKey("api-key")
    """Key within the Secret."""


ResourceList = Annotated[Mapping[str, Quantity], Field(max_length=16)]


class Resources(Model):
    """Compute resources of a container, as in a pod."""

    requests: ResourceList = Field(default_factory=dict)
    """What the scheduler sets aside, for instance cpu: 500m, memory: 512Mi."""
    limits: ResourceList = Field(default_factory=dict)
    """What the container may use at most."""


class Metadata(BaseModel):
    """The part of an object's metadata that reconcile reads."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True)

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
