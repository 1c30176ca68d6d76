"""Charts as inline SVG: marks only, stretched to any width; all text is HTML.

Each drawing is an image with a label for screen readers; the page puts the same figures in a table under it. Nothing
here carries a style, as the policy of the app's pages forbids it: the marks have classes.
"""

from zlib import crc32

from markupsafe import Markup, escape

HEIGHT = 100.0
COLOURS = 6


def colour(version: str) -> str:
    """Return the class that colours a version, the same one wherever and whenever it is drawn."""
    number = int(version) if version.isdecimal() else crc32(version.encode())
    return f"v{number % COLOURS}"


def svg(marks: str, width: float, label: str, kind: str = "") -> Markup:
    """Wrap marks into an image of this width and of `HEIGHT`."""
    return Markup(  # noqa: S704 - made here of numbers and escaped words
        f'<svg class="plot {kind}" role="img" aria-label="{escape(label)}" viewBox="0 0 {short(width)} {HEIGHT:g}"'
        f' preserveAspectRatio="none">{marks}</svg>'
    )


def share(of: float | None, before: float | None, label: str) -> Markup:
    """Draw one share as a bar, with a mark where the baseline has it."""
    marks = f'<path class="now" d="{bar(0, 20, 100 * of, 60)}"/>' if of else ""
    if before is not None:
        at = min(99.6, max(0.4, 100 * before))
        marks += f'<path class="then" d="M{short(at)} 0V{HEIGHT:g}"/>'
    return svg(marks, 100, label, "share")


def bar(x: float, y: float, width: float, height: float) -> str:
    """Return the path of a rectangle."""
    return f"M{short(x)} {short(y)}h{short(width)}v{short(height)}h-{short(width)}z"


def hover(x: float, width: float, text: str) -> str:
    """Return a full-height mark with a tooltip."""
    return (
        f'<rect class="hover" x="{short(x)}" width="{short(width)}" height="100"><title>{escape(text)}</title></rect>'
    )


def short(number: float) -> str:
    """Write a coordinate, to a hundredth."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
