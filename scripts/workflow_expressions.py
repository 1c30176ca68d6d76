"""Evaluate the expressions of GitHub Actions: the part of the language that the workflows here need.

Literals, contexts by dotted names, `!`, `==`, `!=`, `&&`, `||`, parentheses, and the functions of `FUNCTIONS`. An
expression outside of that part is an error, so a workflow that needs more does not pass in silence.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<operator>==|!=|&&|\|\||[!(),])|"
    r"(?P<name>[A-Za-z_][\w-]*(?:\.[\w*-]+)*))"
)
EMBEDDED = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
LITERALS = {"true": True, "false": False, "null": None}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "format": lambda text, *values: re.sub(r"\{(\d+)\}", lambda match: as_text(values[int(match[1])]), text),
    "contains": lambda whole, part: (
        as_text(part).casefold() in (whole if isinstance(whole, list) else as_text(whole).casefold())
    ),
    "startsWith": lambda whole, part: as_text(whole).casefold().startswith(as_text(part).casefold()),
    "endsWith": lambda whole, part: as_text(whole).casefold().endswith(as_text(part).casefold()),
}
OF_THE_JOB = ("hashFiles",)
"""Functions of the files of a job, which the caller passes in the contexts."""

STATUS = ("success", "failure", "always", "cancelled")
"""Functions of the state of a job, which the caller passes in the contexts."""

Contexts = Mapping[str, Any]


class ExpressionError(ValueError):
    """An expression that is not of this part of the language."""


def as_text(value: Any) -> str:
    """Return a value as it is put into a text."""
    return {None: "", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)


def uses_status(expression: str) -> bool:
    """Return whether an `if:` looks at the state itself; the others are joined with `success()`."""
    return any(re.search(rf"\b{name}\(", expression) for name in STATUS)


def substitute(text: str, contexts: Contexts) -> str:
    """Return a text with the values of its embedded expressions."""
    return EMBEDDED.sub(lambda match: as_text(evaluate(match[1], contexts)), text)


def evaluate(expression: str, contexts: Contexts) -> Any:
    """Return the value of an expression; `${{ }}` around it may be left out, as in `if:`.

    Raises ExpressionError: it is not of this part of the language.
    """
    whole = EMBEDDED.fullmatch(expression.strip())
    return _Parser(whole[1] if whole else expression, contexts).value()


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, expression: str, contexts: Contexts) -> None:
        self._expression, self._contexts, self._tokens = expression, contexts, list(_tokens(expression))

    def value(self) -> Any:
        value = self._either()
        if self._tokens:
            raise ExpressionError(f"{self._expression.strip()!r}: unexpected {self._tokens[0][1]!r}")
        return value

    def _either(self) -> Any:
        left = self._both()
        while self._is_next("||"):
            right = self._both()
            left = left or right
        return left

    def _both(self) -> Any:
        left = self._equal()
        while self._is_next("&&"):
            right = self._equal()
            left = left and right
        return left

    def _equal(self) -> Any:
        left = self._single()
        for operator in ("==", "!="):
            if self._is_next(operator):
                right = self._single()
                return (_comparable(left) == _comparable(right)) == (operator == "==")
        return left

    def _single(self) -> Any:
        if self._is_next("!"):
            return not self._single()
        if self._is_next("("):
            value = self._either()
            self._expect(")")
            return value
        if not self._tokens:
            raise ExpressionError(f"{self._expression.strip()!r} ends too early")
        kind, text = self._tokens.pop(0)
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text)
        if kind == "operator":
            raise ExpressionError(f"{self._expression.strip()!r}: unexpected {text!r}")
        return self._call(text) if self._is_next("(") else self._look_up(text)

    def _call(self, name: str) -> Any:
        arguments = []
        while not self._is_next(")"):
            arguments.append(self._either())
            self._is_next(",")
        if name in STATUS:
            return self._contexts[name]
        if name in OF_THE_JOB and name in self._contexts:
            return self._contexts[name](*arguments)
        if name not in FUNCTIONS:
            raise ExpressionError(f"the function {name} is not supported")
        return FUNCTIONS[name](*arguments)

    def _look_up(self, name: str) -> Any:
        if name in LITERALS:
            return LITERALS[name]
        first, *rest = name.split(".")
        if first not in self._contexts:
            raise ExpressionError(f"the context {first} is not supported")
        value: Any = self._contexts[first]
        for part in rest:
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def _is_next(self, operator: str) -> bool:
        if self._tokens and self._tokens[0] == ("operator", operator):
            del self._tokens[0]
            return True
        return False

    def _expect(self, operator: str) -> None:
        if not self._is_next(operator):
            raise ExpressionError(f"{self._expression.strip()!r}: {operator} is missing")


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    position, text = 0, expression.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if not match or not match.lastgroup:
            raise ExpressionError(f"{expression.strip()!r}: {text[position:].strip()[:20]!r} is not supported")
        yield match.lastgroup, match[match.lastgroup]
        position = match.end()


def _comparable(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else "" if value is None else value
