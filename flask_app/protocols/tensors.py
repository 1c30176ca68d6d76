"""Tensors of the Open Inference Protocol, as JSON and as bytes, to lists of values and back."""

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NoReturn

import numpy as np
from werkzeug.exceptions import UnprocessableEntity

from flask_app.protocols import strict_json
from lockstep.data.schema import FieldError, RowsRefused

KEYS = ("name", "shape", "datatype", "parameters", "data")
PARAMETERS = ("binary_data_size", "content_type")
CONTENT_TYPES = ("str", "np", "pd")
BYTES = "BYTES"
# Each datatype of a fixed width, and how numpy calls it; `BYTES` is the one other.
WIDTHS = {
    "BOOL": "|b1",
    **{f"UINT{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}
LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Tensor:
    """A named tensor of n rows of one or more values, row by row; None where a value is missing."""

    name: str
    shape: tuple[int, ...]
    values: list[Any]

    @property
    def width(self) -> int:
        """The number of values in a row."""
        return self.shape[1] if len(self.shape) == 2 else 1

    def rows(self) -> list[list[Any]]:
        """Return the values as rows."""
        return [self.values[start : start + self.width] for start in range(0, len(self.values), self.width)]


def read(entries: Sequence[Any], tail: bytes) -> list[Tensor]:
    """Return tensors from their JSON and the bytes that follow it.

    Raises RowsRefused: naming a tensor that is not as its shape and datatype say.
    Raises UnprocessableEntity: a tensor is not described, or the bytes are more or fewer than described.
    """
    result, start = [], 0
    for entry in entries:
        tensor, size = _tensor(entry, tail[start:])
        result.append(tensor)
        start += size
    if start != len(tail):
        raise UnprocessableEntity(f"{len(tail)} bytes follow the JSON, but the inputs account for {start}.")
    return result


def _tensor(entry: Any, tail: bytes) -> tuple[Tensor, int]:
    """Return a tensor, and how many bytes of the tail were its own."""
    content = strict_json.fields(entry, KEYS, "An input")
    name, datatype = content.get("name"), content.get("datatype")
    if not isinstance(name, str):
        raise UnprocessableEntity('An input must have a "name" that is a text.')
    if not isinstance(datatype, str) or datatype not in (*WIDTHS, BYTES):
        _refuse(name, f"the datatype must be one of {', '.join([*WIDTHS, BYTES])}")
    size, shape = _binary_size(content, name), _shape(content.get("shape"), name)
    if size is None:
        return Tensor(name, shape, _from_json(content.get("data"), shape, str(datatype), name)), 0
    if size > len(tail):
        _refuse(name, f"binary_data_size is {size}, but only {len(tail)} bytes are left")
    return Tensor(name, shape, _from_bytes(tail[:size], math.prod(shape), str(datatype), name)), size


def _refuse(name: str, problem: str, row: int = 0) -> NoReturn:
    raise RowsRefused([FieldError(row, name, problem)])


def _shape(shape: Any, name: str) -> tuple[int, ...]:
    """Return a shape of one or two positive lengths."""
    if (
        not isinstance(shape, list)
        or len(shape) not in (1, 2)
        or any(type(length) is not int or length < 1 for length in shape)
    ):
        _refuse(name, "the shape must be [rows] or [rows, columns], both at least 1")
    return tuple(shape)


def _binary_size(content: dict[str, Any], name: str) -> int | None:
    """Return how many of the bytes after the JSON are this tensor's, or None if its data stand in the JSON."""
    parameters = strict_json.options(content.get("parameters"), PARAMETERS, "The parameters of an input")
    if parameters.get("content_type", "np") not in CONTENT_TYPES:
        _refuse(name, f"content_type must be one of {', '.join(CONTENT_TYPES)}")
    size = parameters.get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0 or "data" in content):
        _refuse(name, "binary_data_size must be a number of bytes, and stand in place of data")
    return size


def _from_json(data: Any, shape: tuple[int, ...], datatype: str, name: str) -> list[Any]:
    """Return the values of a list, or of a list of rows."""
    data = _flat(data, shape, name)
    fits = FITS["FP" if datatype.startswith("FP") else datatype]
    width = len(data) // shape[0]
    wrong = [
        FieldError(index // width, name, f"expected {datatype}")
        for index, value in enumerate(data)
        if value is not None and not fits(value)
    ]
    if wrong:
        raise RowsRefused(wrong)
    return data


def _flat(data: Any, shape: tuple[int, ...], name: str) -> list[Any]:
    if not isinstance(data, list):
        _refuse(name, "data must be a list, or binary_data_size be given")
    if len(shape) == 2 and any(isinstance(row, list) for row in data):
        if len(data) != shape[0] or any(not isinstance(row, list) or len(row) != shape[1] for row in data):
            _refuse(name, f"data must be {shape[0]} rows of {shape[1]} values, as the shape says")
        data = list(chain.from_iterable(data))
    if len(data) != math.prod(shape):
        _refuse(name, f"data holds {len(data)} values, but the shape says {'x'.join(map(str, shape))}")
    return list(data)


def _within(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


FITS: dict[str, Callable[[Any], bool]] = {
    "BOOL": lambda value: isinstance(value, bool),
    BYTES: lambda value: isinstance(value, str),
    "FP": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    **{f"UINT{bits}": _within(0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": _within(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
}


def _from_bytes(content: bytes, count: int, datatype: str, name: str) -> list[Any]:
    """Return the values in bytes; NaN is a missing value, as these datatypes have no other."""
    if datatype == BYTES:
        return _texts(content, count, name)
    width = np.dtype(WIDTHS[datatype])
    if len(content) != count * width.itemsize:
        _refuse(name, f"{len(content)} bytes, but {count} values of {datatype} are {count * width.itemsize}")
    if datatype == "BOOL" and content.strip(b"\0\1"):
        _refuse(name, "a BOOL is a byte of 0 or 1")
    values: list[Any] = np.frombuffer(content, width).tolist()
    return [None if value != value else value for value in values] if datatype.startswith("FP") else values


def _texts(content: bytes, count: int, name: str) -> list[Any]:
    """Return texts that each stand after their length."""
    try:
        texts = [text.decode() for text in _elements(content, count)]
    except (struct.error, UnicodeDecodeError, EOFError):
        _refuse(name, f"expected {count} texts in UTF-8, each after its length in 4 bytes")
    return texts


def _elements(content: bytes, count: int) -> Iterator[bytes]:
    """Yield byte strings; EOFError if they are not exactly `count`."""
    start = 0
    for _ in range(count):
        (size,) = LENGTH.unpack_from(content, start)
        start += LENGTH.size + size
        if start > len(content):
            raise EOFError
        yield content[start - size : start]
    if start != len(content):
        raise EOFError


def write(values: Sequence[Any], datatype: str) -> bytes:
    """Return values as bytes."""
    if datatype == BYTES:
        texts = [str(value).encode() for value in values]
        return b"".join(LENGTH.pack(len(text)) + text for text in texts)
    return np.asarray(values, WIDTHS[datatype]).tobytes()
