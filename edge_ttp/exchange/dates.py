"""Dates as people and programs write them: one reading for every format.

ISO (`2026-01-31`, with a time, with a zone), `2026-01`, a year, `31.01.2026`, RFC 2822 (`Mon, 06 Jan 2025 09:12:00
+0100`), seconds, milliseconds or microseconds since 1970, or a form that the caller names. Empty is unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from edge_ttp.errors import InvalidInput

_MAX_TEXT = 100
"""Longest date, in characters."""
_MAX_ORDER = 1e9
_DAY_MS = 86_400_000
_FIRST_ORDER = datetime(2000, 1, 1, tzinfo=UTC)
"""Time of an item that has `order` 0 and no date; each step of `order` is one second."""

_MONTH = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?")
_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{0,9})?")
_DOTTED = re.compile(r"([0-9]{1,2})\.\s?([0-9]{1,2})\.\s?([0-9]{4}|[0-9]{2}(?![0-9]))(.*)", re.DOTALL)
_SLASHED = re.compile(r"([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})(.*)", re.DOTALL)
_TURNED = re.compile(r"([0-9]{1,2})([/-])([0-9]{1,2})\2([0-9]{4}|[0-9]{2}(?![0-9]))(.*)", re.DOTALL)
_CLOCK = re.compile(
    r"[\sT]*([0-9]{1,2}):([0-9]{2})(:[0-9]{2}(?:\.[0-9]+)?)?(?:\s?([ap])\.?\s?m\b\.?)?(.*)", re.DOTALL | re.I
)
_NAMED = re.compile(r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.IGNORECASE)
_ZONE = re.compile(r"\s*(?:(?:UTC|GMT)?([+-][0-9]{2}:?[0-9]{2})|UTC|GMT)$")

EXAMPLES = (
    "a date such as 2026-01-31, 31.01.2026 or seconds since 1970 (--date-format names another form, such as %m/%d/%Y)"
)


class NoDate(ValueError):
    """What stands where a date should."""


def months_first(dates: Iterable[str]) -> bool | None:
    """Whether dates such as 1/31/2025 have the month first. None where they do not say: none of them has a part above
    12, or some have it in one place and some in the other.
    """
    found = set()
    for text in dates:
        match = _TURNED.fullmatch(text.strip())
        if match is not None and (int(match[1]) > 12) != (int(match[3]) > 12):
            found.add(int(match[3]) > 12)
    return found.pop() if len(found) == 1 else None


def moment(value: object, form: str | None = None, *, month_first: bool | None = None) -> tuple[datetime, bool] | None:
    """(moment in UTC, whether the value names a whole day, month or year); None where nothing is given.

    A moment without a zone counts as UTC. form: how dates are written, as strptime takes it. month_first: whether
    01/02/2025 is in January, where that is known. NoDate if it is none.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _number(value)
        if isinstance(value, str) and len(value) <= _MAX_TEXT:
            text = value.strip()
            return _by_form(text, form) if form is not None else _text(text, month_first)
    except (ValueError, OverflowError, OSError, TypeError, re.error):
        pass
    raise NoDate(f"{json.dumps(value)[:40]}: not {EXAMPLES if form is None else f'of the form {form}'}")


def _number(value: float) -> tuple[datetime, bool]:
    if isinstance(value, int) and 1000 <= value <= 9999:
        return datetime(value, 1, 1, tzinfo=UTC), True
    if isinstance(value, int) and 19_000_101 <= value <= 21_001_231:
        try:
            return datetime(value // 10_000, value // 100 % 100, value % 100, tzinfo=UTC), True
        except ValueError:
            pass
    for most, unit in ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e19, 1e9)):
        if abs(value) < most:
            return datetime.fromtimestamp(value / unit, UTC), False
    raise ValueError("no number of seconds")


def _by_form(text: str, form: str) -> tuple[datetime, bool]:
    return _utc(datetime.strptime(text, form)), not any(f"%{sign}" in form for sign in "HIMScXfsT")


def _text(text: str, month_first: bool | None) -> tuple[datetime, bool]:
    if match := _MONTH.fullmatch(text):
        return datetime(int(match[1]), int(match[2] or 1), 1, tzinfo=UTC), True
    if _NUMBER.fullmatch(text):
        return _number(float(text) if "." in text else int(text))
    if match := _DOTTED.fullmatch(text):
        text = _iso(match[3], match[2], match[1], match[4].replace(",", "", 1))
    elif match := _SLASHED.fullmatch(text):
        text = _iso(match[1], match[2], match[3], match[4])
    elif month_first is not None and (match := _TURNED.fullmatch(text)):
        month, day = (match[1], match[3]) if month_first else (match[3], match[1])
        text = _iso(match[4], month, day, match[5].replace(",", "", 1))
    elif _NAMED.search(text):
        whole_day = ":" not in text
        return _utc(parsedate_to_datetime(f"{text} 00:00" if whole_day else text)), whole_day
    text = _ZONE.sub(lambda match: match[1] or "+00:00", text)
    return _utc(datetime.fromisoformat(text)), len(text) <= len("2026-01-31")


def _iso(year: str, month: str, day: str, rest: str) -> str:
    """The date as ISO writes it, with the time of day that `rest` begins with, if any."""
    date = f"{year if len(year) == 4 else f'20{year}'}-{int(month):02}-{int(day):02}"
    clock = _CLOCK.fullmatch(rest)
    if clock is None:
        return date + rest
    hour = int(clock[1])
    if clock[4] is not None and hour <= 12:
        hour = hour % 12 + (12 if clock[4].lower() == "p" else 0)
    return f"{date} {hour:02}:{clock[2]}{clock[3] or ''}{clock[5]}"


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def moment_of(name: str, value: str) -> datetime:
    """The moment that a date, a month, a year or a time means. InvalidInput if it is none."""
    try:
        found = moment(value)
    except NoDate as error:
        raise InvalidInput(f"{name} is {error}", "give a date such as 2026-01-31") from None
    if found is None:
        raise InvalidInput(f"{name} is empty", "give a date such as 2026-01-31")
    return found[0]


def checked_form(form: str) -> str:
    """`form` itself. InvalidInput if strptime cannot read dates by it."""
    try:
        if "%" not in form:
            raise ValueError("no field")
        datetime.strptime(datetime(2026, 1, 31, 12, 30).strftime(form), form)
    except (ValueError, re.error) as error:
        raise InvalidInput(
            f"{form!a} is no form of dates ({str(error)[:60]})", "write such as %d.%m.%Y or '%m/%d/%Y %H:%M'"
        ) from None
    return form


def time_of(
    value: Mapping[str, Any], now: datetime, form: str | None = None, *, month_first: bool | None = None
) -> datetime:
    """When an item was written: `created_at` or `date`; else from `order`; else `now`. NoDate for what is none.

    A date without a time of day is refined by `order` (milliseconds into the day), so that items of one day keep it.
    """
    order = value.get("order")
    if order is not None and not (_is_number(order) and abs(order) <= _MAX_ORDER):
        raise NoDate("order is not a number up to 1e9")
    for key in ("created_at", "date"):
        try:
            found = moment(value.get(key), form, month_first=month_first)
        except NoDate as error:
            raise NoDate(f"{key} is {error}") from None
        if found is not None:
            at, whole_day = found
            if whole_day and isinstance(order, int) and 0 <= order < _DAY_MS:
                return at + timedelta(milliseconds=order)
            return at
    return now if order is None else _FIRST_ORDER + timedelta(seconds=order)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
