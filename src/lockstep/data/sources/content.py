"""The bytes of a file, unpacked and counted on the way: plain, gzip, bzip2, xz, or the one member of a zip."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from lockstep.config.params import FORMATS
from lockstep.errors import DataError

MIB = 1 << 20
# Tables shrink to a hundredth at best; deflate's limit, of which bombs are made, is a thousandth.
SMALL, TIMES = 100 * MIB, 150
GZIP = b"\x1f\x8b"
OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
PARQUET = b"PAR1"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
KINDS = {suffix: name for name, suffixes in FORMATS.items() for suffix in suffixes}


@dataclass(frozen=True)
class Content:
    """A file that holds a table, what it is called in messages, and how many bytes may come out of it."""

    path: Path
    name: str
    max_bytes: int

    @property
    def packed(self) -> bool:
        """Tell whether the file is compressed."""
        return self.path.suffix.lower() in (*OPENERS, ".zip") or self._starts_with(GZIP)

    @property
    def inner(self) -> str:
        """Return the name of what is packed, or of the file itself."""
        if self.path.suffix.lower() == ".zip":
            with self._zip() as archive:
                return self._member(archive).filename
        return self.path.stem if self.path.suffix.lower() in OPENERS else self.path.name

    def format(self) -> str:
        """Tell the format by the first bytes, then by the ending. Raises DataError: neither says what it is."""
        if self._starts_with(PARQUET):
            return "parquet"
        suffix = PurePosixPath(self.inner).suffix
        if suffix.lower() not in KINDS:
            raise DataError(
                f"{self.name}: {suffix or 'no ending'} tells no format",
                f"set data_ingestion.format to {', '.join(FORMATS)}, or say --format to init",
            )
        kind = KINDS[suffix.lower()]
        return "jsonl" if kind == "json" and self._starts_with(b"{") and self._is_lines() else kind

    def _is_lines(self) -> bool:
        """Tell whether the first two lines begin with JSON objects."""
        with self.path.open("rb") as stream:
            first, second = stream.readline(MIB).strip(), stream.readline(MIB).strip()
        return first.endswith(b"}") and second.startswith(b"{")

    @contextmanager
    def opened(self, text: bool = False) -> Iterator["Counted"]:
        """Yield the unpacked bytes; with `text`, refuse NUL bytes, which no text holds.

        Raises DataError: the archive is damaged or unsafe, more bytes come out than are allowed, or a NUL byte.
        """
        try:
            with self._raw() as raw:
                yield Counted(raw, self.name, self._most() if self.packed else None, text)
        except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
            kind = {".bz2": "bzip2", ".xz": "xz"}.get(self.path.suffix.lower(), "gzip")
            raise DataError(
                f"{self.name} is no whole {kind} file: {error}", "it is cut off or damaged: fetch it again"
            ) from None
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise DataError(
                f"{self.name} is no whole zip file: {error}", "it is cut off or damaged: fetch it again"
            ) from None

    def _most(self) -> int:
        """Return how many bytes may come out: as many as allowed, and of what is not small no absurd multiple of it."""
        return min(self.max_bytes, max(SMALL, TIMES * self.path.stat().st_size))

    @contextmanager
    def _raw(self) -> Iterator[BinaryIO]:
        if self.path.suffix.lower() == ".zip":
            with self._zip() as archive, self._open_member(archive) as member:
                yield member  # type: ignore[misc]
        elif self.packed:
            with OPENERS.get(self.path.suffix.lower(), gzip.open)(self.path, "rb") as stream:
                yield stream
        else:
            with self.path.open("rb") as plain:
                yield plain

    def _zip(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except zipfile.BadZipFile as error:
            raise DataError(
                f"{self.name} is no zip file: {error}", "it is cut off or damaged: fetch it again"
            ) from None

    def _member(self, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
        """Return the one file of a zip, whose members may not point out of it."""
        members = [member for member in archive.infolist() if not member.is_dir()]
        for member in members:
            where = PurePosixPath(member.filename.replace("\\", "/"))
            if where.is_absolute() or ".." in where.parts or ":" in where.parts[0]:
                raise DataError(
                    f"{self.name} holds {member.filename[:80]!r}, which points out of the archive",
                    "do not trust this file; pack the table anew, without folders",
                )
        tables = [member for member in members if not member.filename.startswith(("__MACOSX/", "."))]
        if len(tables) != 1:
            raise DataError(
                f"{self.name} holds {len(tables)} files: {', '.join(member.filename for member in tables[:5])}",
                "unpack it into data/external/ and name the file, or a pattern such as data/external/*.csv",
            )
        return tables[0]

    def _open_member(self, archive: zipfile.ZipFile) -> "zipfile.ZipExtFile":
        member = self._member(archive)
        if member.flag_bits & 1:
            raise DataError(f"{self.name} is encrypted", "unpack it into data/external/ and name the file")
        return archive.open(member)  # type: ignore[return-value]

    def _starts_with(self, magic: bytes) -> bool:
        with self.path.open("rb") as stream:
            return stream.read(len(magic)) == magic


class Counted(io.RawIOBase):
    """A stream that counts bytes and lines, and stops at a limit and at NUL bytes."""

    def __init__(self, inner: BinaryIO, name: str, max_bytes: int | None, text: bool) -> None:
        self.inner, self.name, self.max_bytes, self.text = inner, name, max_bytes, text
        self.bytes, self.lines = 0, 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Fill a buffer with the next bytes."""
        piece = self.inner.read(len(buffer))
        if self.bytes == 0 and piece.startswith(UTF_16):
            self.text = False  # decoding says what is wrong, if it is not declared
        if self.text and b"\0" in piece:
            line = self.lines + piece.count(b"\n", 0, piece.index(b"\0")) + 1
            raise DataError(
                f"{self.name}: line {line} holds a NUL byte",
                "the file is damaged or no text; for UTF-16 set data_ingestion.reader.encoding: utf-16",
            )
        self.bytes += len(piece)
        self.lines += piece.count(b"\n")
        if self.max_bytes is not None and self.bytes > self.max_bytes:
            raise DataError(
                f"{self.name} unpacks to more than {self.max_bytes // MIB} MiB",
                "raise data_ingestion.max_mb if it is meant to be so large, or unpack it yourself into data/external/",
            )
        buffer[: len(piece)] = piece
        return len(piece)
