"""Strings with a form: durations, quantities, decimals, schedules, names, addresses.

Each is a `str` that validates itself, so it goes back to YAML as it was written. `pattern` is read by Python and by
the API server (RE2), so it stays within what both understand; `mend` is the sentence that a person reads.
"""

import math
import re
from decimal import Decimal
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from rag_operator.api import cron


class Format(str):
    """A string of one form. Raises ValueError with `mend` as its text."""

    __slots__ = ()
    pattern: ClassVar[str] = ""
    max_length: ClassVar[int] = 253
    mend: ClassVar[str] = ""
    int_or_string: ClassVar[bool] = False
    spoken: ClassVar[bool] = True
    """Whether the API server says `mend` too. Forms that occur in many places leave it at the pattern, for the CRD's
    size."""

    def __new__(cls, text: str) -> Self:
        """Check the text. Raises ValueError with the mend."""
        if len(text) > cls.max_length:
            raise ValueError(f"at most {cls.max_length} characters")
        if not cls.accepts(text):
            raise ValueError(cls.mend)
        return super().__new__(cls, text)

    @classmethod
    def accepts(cls, text: str) -> bool:
        """Whether the text has the form."""
        return re.fullmatch(cls.pattern, text, re.ASCII) is not None

    @classmethod
    def cel(cls, value: str = "self") -> str:
        """The same check as a CEL expression over `value`."""
        text = f"string({value})" if cls.int_or_string else value
        return f"{text}.matches(r'{cls.pattern}')"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._parse)

    @classmethod
    def _parse(cls, value: object) -> Self:
        if cls.int_or_string and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise ValueError(f"must be a string: {cls.mend}")
        return cls(value)


class Duration(Format):
    """A length of time such as `30s`, `4h`, `1h30m` or `100ms`; longer than zero."""

    __slots__ = ()
    # One part is not zero: no zero durations, which would mean "never" to one and "at once" to another.
    pattern = r"^([0-9]{1,7}(ms|[hms]))*0*[1-9][0-9]{0,6}(ms|[hms])([0-9]{1,7}(ms|[hms]))*$"
    max_length = 32
    mend = "write a duration longer than zero with units h, m, s or ms, such as 30s, 4h or 1h30m"

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        unit = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
        return sum(int(n) * unit[u] for n, u in re.findall(r"([0-9]+)(ms|[hms])", self))


_UNITS = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(10) ** 3}
_UNITS |= {unit: Decimal(10) ** (3 * power) for power, unit in enumerate("MGTPE", start=2)}
_UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)}


class Quantity(Format):
    """A Kubernetes quantity, not negative: `500m`, `2`, `1.5Gi`."""

    __slots__ = ()
    pattern = r"^[0-9]{1,15}(\.[0-9]{1,9})?([KMGTPE]i|[mkMGTPE])?$"
    max_length = 32
    mend = "write a quantity such as 500m, 2 or 512Mi"
    int_or_string = True

    @property
    def value(self) -> Decimal:
        """The number in base units (bytes, cores)."""
        parts = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", self)
        assert parts is not None, "validated on construction"
        return Decimal(parts[1]) * _UNITS[parts[2]]


class Size(Quantity):
    """A number of bytes greater than zero: `512Mi`, `10Gi`."""

    __slots__ = ()
    pattern = r"^[1-9][0-9]{0,14}(\.[0-9]{1,9})?([KMGTPE]i|[kMGTPE])?$"
    mend = "write a size of at least one byte, such as 512Mi or 10Gi"

    @property
    def bytes(self) -> int:
        """Whole bytes, rounded up as Kubernetes does."""
        return math.ceil(self.value)


class DecimalString(Format):
    """A fraction as text, because floats differ between YAML writers."""

    __slots__ = ()
    max_length = 16

    @property
    def value(self) -> float:
        """The number."""
        return float(self)


class Score(DecimalString):
    """A fraction from 0 to 1."""

    __slots__ = ()
    pattern = r"^(0(\.[0-9]{1,4})?|1(\.0{1,4})?)$"
    mend = 'write a number from 0 to 1 in quotes, such as "0.25"'


class Weight(DecimalString):
    """A weight from 0 to 10."""

    __slots__ = ()
    pattern = r"^([0-9](\.[0-9]{1,4})?|10(\.0{1,4})?)$"
    mend = 'write a number from 0 to 10 in quotes, such as "1.0"'


class Temperature(DecimalString):
    """A sampling temperature from 0 to 2."""

    __slots__ = ()
    pattern = r"^([01](\.[0-9]{1,4})?|2(\.0{1,4})?)$"
    mend = 'write a number from 0 to 2 in quotes, such as "0.1"'


class CronSchedule(Format):
    """A five-field cron schedule as CronJobs take it: `*/15 * * * *`, `0 3 * * MON-FRI`."""

    __slots__ = ()
    pattern = r"^[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}$"
    max_length = 100
    mend = (
        "write a cron schedule of five fields with one space between them: minute 0-59, hour 0-23, day 1-31, "
        "month 1-12 or JAN-DEC, weekday 0-6 or SUN-SAT; for instance */15 * * * * or 0 3 * * MON-FRI"
    )

    @classmethod
    def accepts(cls, text: str) -> bool:
        """Whether every field is in bounds and no range runs backwards."""
        return cron.is_schedule(text)

    @classmethod
    def cel(cls, value: str = "self") -> str:
        """The exact grammar, beside the coarse `pattern` that tools without CEL check."""
        assert value == "self", "the ranges are written over self"
        return f"self.matches(r'{cron.PATTERN}') && {cron.RANGES_CEL}"


class TimeZone(Format):
    """A name of the IANA time zone database, such as `Etc/UTC` or `Europe/Berlin`. Whether it exists, CronJob says."""

    __slots__ = ()
    pattern = r"^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){1,2}$|^UTC$"
    max_length = 64
    mend = "write an IANA time zone such as Etc/UTC or Europe/Berlin"


class Label(Format):
    """A DNS label: the form of names that become part of other names."""

    __slots__ = ()
    pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
    max_length = 63
    mend = "use lower-case letters, digits and -, starting with a letter and not ending with -"


class ObjectName(Format):
    """The name of a Kubernetes object (a DNS subdomain)."""

    __slots__ = ()
    pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
    mend = "write the name of an object: lower-case letters, digits, - and ."


class DataKey(Format):
    """A key in a Secret or ConfigMap."""

    __slots__ = ()
    pattern = r"^[-._a-zA-Z0-9]+$"
    mend = "write a key of the Secret or ConfigMap: letters, digits, -, _ and ."


class CatalogId(Format):
    """The id of a catalog (a UUID), or nothing."""

    __slots__ = ()
    pattern = r"^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?$"
    max_length = 36
    mend = "write the catalog's id as in the former pipeline's status.catalogID, or leave it out"


class RuntimeVersion(Format):
    """A version of the runtime, as its image is tagged, or nothing."""

    __slots__ = ()
    pattern = r"^([0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}(-[0-9A-Za-z][0-9A-Za-z.-]*)?)?$"
    max_length = 64
    mend = "write a version such as 0.1.0, or leave it empty to follow the operator's release"


class WebAddress(Format):
    """An http or https URL without credentials, query and fragment."""

    __slots__ = ()
    pattern = r"^https?://[A-Za-z0-9.\[\]:_-]+(/[A-Za-z0-9._~%!$&()*+,;=:@/-]*)?$"
    max_length = 1024
    mend = "write an http:// or https:// address without credentials, query or fragment"


class PageAddress(Format):
    """An http or https URL without credentials and fragment."""

    __slots__ = ()
    # Short, as is max_length: a tenant may have 5,000 of them, and the API server bounds the cost of all together.
    pattern = r"^https?://[^\s/?#@]+([/?][^\s#]*)?$"
    max_length = 512
    mend = "write an http:// or https:// address without credentials, fragment or spaces"


class AllowedHost(Format):
    """A host, `*.` and a domain, or a host with a port."""

    __slots__ = ()
    pattern = r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$"
    mend = "write a host such as docs.example.com, *.example.com or docs.example.com:8443, without scheme or path"


class MetadataKey(Format):
    """A key of document metadata."""

    __slots__ = ()
    pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
    max_length = 63
    mend = "use metadata keys of at most 63 letters, digits, _, . and -, starting with a letter or digit"


class LabelKey(Format):
    """The key of a label, annotation or taint: a name, before which may stand a domain and /."""

    __slots__ = ()
    spoken = False
    pattern = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
    max_length = 317
    mend = "write a key such as team or example.com/team"


class OwnKey(LabelKey):
    """A key that is the user's to set on a pod: none that Kubernetes, Argo CD or the operator reads."""

    __slots__ = ()
    reserved: ClassVar[str] = (
        r"^([a-z0-9.-]+\.)?(kubernetes\.io|k8s\.io|argoproj\.io|rag-operator\.dev)/.*$|^io\.kubernetes\..*$|"
        r"^(pod-template-hash|controller-revision-hash|controller-uid|job-name)$"
    )
    mend = (
        "write keys such as team or example.com/team; those of Kubernetes (kubernetes.io, k8s.io), of Argo CD "
        "(argoproj.io) and of the operator (rag-operator.dev) are not yours to set: leave them out"
    )

    @classmethod
    def accepts(cls, text: str) -> bool:
        """Whether the text is a key, and nobody else's."""
        return super().accepts(text) and re.fullmatch(cls.reserved, text, re.ASCII) is None

    @classmethod
    def cel(cls, value: str = "self") -> str:
        """The form, and that the key is not reserved."""
        return f"{super().cel(value)} && !{value}.matches(r'{cls.reserved}')"


class LabelValue(Format):
    """The value of a label; it may be empty."""

    __slots__ = ()
    spoken = False
    pattern = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
    max_length = 63
    mend = "write at most 63 letters, digits, -, _ and ., starting and ending with a letter or digit"


class Cidr(Format):
    """A range of IPv4 or IPv6 addresses: `10.20.0.0/16`, `2001:db8::/32`."""

    __slots__ = ()
    _OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
    _V4 = rf"{_OCTET}(\.{_OCTET}){{3}}/(3[0-2]|[12]?[0-9])"
    _V6 = r"[0-9a-fA-F:]*:[0-9a-fA-F:]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9])"
    pattern = rf"^({_V4}|{_V6})$"
    max_length = 43
    mend = "write a range of addresses such as 10.20.0.0/16 or 2001:db8::/32"
