"""Cron schedules as Kubernetes reads them: five fields, the grammar of robfig/cron v3 that CronJob uses.

Narrower than it in three harmless ways: one space between fields, no `?`, and the two ends of a range are both numbers
or both names. Day of week is 0-6 (Sunday is 0; 7 is refused by Kubernetes too).
"""

import re

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def _field(number: str, names: tuple[str, ...] = ()) -> str:
    value = f"({number})(-({number}))?"
    if names:
        name = f"(?i:{'|'.join(names)})"
        value = f"{value}|{name}(-{name})?"
    item = rf"(\*|{value})(/[1-9][0-9]?)?"
    return f"{item}(,{item})*"


PATTERN = "^{}$".format(
    " ".join(
        (
            _field("[0-5]?[0-9]"),
            _field("[01]?[0-9]|2[0-3]"),
            _field("0?[1-9]|[12][0-9]|3[01]"),
            _field("0?[1-9]|1[0-2]", MONTHS),
            _field("[0-6]", DAYS),
        )
    )
)
"""Every field in its bounds, for Python and RE2 alike. That a range does not run backwards is `RANGES_CEL`."""

_BACKWARDS = "(?i:{})".format(
    "|".join(f"{names[i]}-({'|'.join(names[:i])})" for names in (MONTHS, DAYS) for i in range(1, len(names)))
)
_NUMBERS = "[0-9]+-[0-9]+"
RANGES_CEL = (
    f"!self.matches(r'{_BACKWARDS}') && self.findAll('{_NUMBERS}').all(r, int(r.split('-')[0]) <= int(r.split('-')[1]))"
)


def is_schedule(text: str) -> bool:
    """Whether Kubernetes takes `text` as a CronJob's schedule."""
    if re.fullmatch(PATTERN, text, re.ASCII) is None or re.search(_BACKWARDS, text, re.ASCII):
        return False
    ranges = (found.split("-") for found in re.findall(_NUMBERS, text))
    return all(int(first) <= int(last) for first, last in ranges)


def spread(schedule: str, offset: int) -> str:
    """Shift a schedule's minutes, so that tenants with the same default do not start together.

    `offset` is any non-negative number. A step from every minute (`*/15`) keeps its period and starts at
    `offset % 15`; a single minute (`0`) moves within the hour. Other schedules are returned as they are: their
    author chose the minutes.
    """
    minutes, rest = schedule.split(" ", 1)
    if step := re.fullmatch(r"\*/([0-9]+)", minutes):
        period = int(step[1])
        if 1 < period <= 30 and 60 % period == 0:
            return f"{offset % period}-59/{period} {rest}"
    if minutes.isdigit():
        return f"{(int(minutes) + offset) % 60} {rest}"
    return schedule
