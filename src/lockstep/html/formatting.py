"""How the dashboard and the report write numbers, shares, times and durations, for people."""

from datetime import UTC, datetime

DASH = "\u2013"
NARROW = "\u202f"
STEPS = ((86_400 * 2, 86_400, "days"), (3_600 * 2, 3_600, "h"), (120, 60, "min"))
LARGE = ((1e9, "bn"), (1e6, "M"), (1e4, "k"))


def moment(at_s: float) -> str:
    """Write seconds since 1970 as a time in UTC, to the minute."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def machine(at_s: float) -> str:
    """Write seconds since 1970 as ISO 8601."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")


def clock(at_s: float, bucket_s: int) -> str:
    """Write when a bucket begins, as finely as its length requires."""
    spelling = "%H:%M" if bucket_s < 3_600 else "%d %b %H:%M" if bucket_s < 86_400 else "%d %b"
    return datetime.fromtimestamp(at_s, UTC).strftime(spelling)


def listed(iso: str) -> str:
    """Write a time of the registry's history, to the minute."""
    return iso[:16].replace("T", " ")


def duration(seconds: float) -> str:
    """Write a length of time in the largest unit of which there are two."""
    for least, unit_s, unit in STEPS:
        if seconds >= least:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def number(value: float) -> str:
    """Write a number with the four digits that matter most."""
    if value == 0 or 1e-4 <= abs(value) < 1e7:
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:.2e}"


def metric(value: float) -> str:
    """Write the value of a metric, always with the same digits after the point."""
    return f"{value:.3f}" if abs(value) < 100 else number(value)


def probability(value: float) -> str:
    """Write a p-value so that a small one does not read as none."""
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def percent(share: float) -> str:
    """Write a share so that only all and nothing read as 100 and 0."""
    shown = f"{share * 100:.1f}"
    if shown in ("0.0", "100.0") and 0 < share < 1:
        return f"< 0.1{NARROW}%" if share < 0.5 else f"> 99.9{NARROW}%"
    return f"{shown}{NARROW}%"


def count(value: float) -> str:
    """Write a count; from 10,000 on, shortened."""
    for least, unit in LARGE:
        if value >= least:
            divisor = 1e3 if unit == "k" else least
            return f"{value / divisor:.3g}{NARROW}{unit}"
    return f"{value:,.0f}"


def milliseconds(value: float) -> str:
    """Write a latency."""
    return f"{value:.2f} ms" if value < 10 else f"{value:.0f} ms"


def size(octets: int) -> str:
    """Write how large files are."""
    return f"{octets / 2**20:.1f} MiB" if octets >= 2**20 else f"{octets / 2**10:.0f} KiB"


# What the templates call these by.
FILTERS = {
    make.__name__: make
    for make in (moment, machine, clock, listed, duration, number, metric, probability, percent, count, milliseconds)
} | {"octets": size}
