"""The text of a file in blocks of bounded size: unpacked, and as UTF-8 without a byte order mark."""

import codecs
import gzip
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from sources.formats import UnknownFormat

BLOCK_BYTES = 256 * 1024
MOST_EXPANSION = 100
"""Events unpack to 5 to 20 times their size; what unpacks to more than this is not read to its end."""
ALWAYS_UNPACKED_BYTES = 64 * 1024 * 1024
"""Up to here it may be more: a small file of equal rows packs well."""

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_PACKED = {
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it first: zstd -d {name}",
    b"BZh": "is compressed with bzip2; unpack it first: bunzip2 {name}",
    b"\xfd7zXZ\x00": "is compressed with xz; unpack it first: unxz {name}",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive; unpack it first",
    b"PK\x03\x04": "is a zip archive or a spreadsheet; unpack it, or save the sheet as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "is a spreadsheet; save the sheet as CSV UTF-8",
}
_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_LOOKED_AT_BYTES = 4_096


def is_parquet(path: Path) -> bool:
    """Whether the file begins as parquet files do."""
    with path.open("rb") as file:
        return file.read(len(_PARQUET)) == _PARQUET


def read_blocks(path: Path) -> Iterator[bytes]:
    """The file's text in blocks; raises `UnknownFormat` for one packed in a way we do not read."""
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(0)
        for magic, what in _PACKED.items():
            if head.startswith(magic):
                raise UnknownFormat(f"{path.name} {what.format(name=path.name)}")
        blocks = _unpack(file, path) if head.startswith(_GZIP) else _read(file)
        yield from to_utf8(blocks, path.name)


def to_utf8(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The blocks as UTF-8 where they are UTF-16 or UTF-32; other bytes pass as they are."""
    first = b""
    for block in blocks:
        first += block
        if len(first) >= _LOOKED_AT_BYTES:
            break
    encoding, mark = _encoding(first, name)
    if encoding == "utf-8":
        yield first[len(mark) :]
        yield from blocks
        return
    # A lone surrogate passes, as bytes that are not UTF-8: then its row is rejected, not the file.
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    try:
        yield decoder.decode(first[len(mark) :]).encode("utf-8", "surrogatepass")
        for block in blocks:
            yield decoder.decode(block).encode("utf-8", "surrogatepass")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as exc:
        raise UnknownFormat(
            f"{name} begins as {encoding.upper()} text and continues as something else"
        ) from exc


def _read(file: IO[bytes]) -> Iterator[bytes]:
    return iter(partial(file.read, BLOCK_BYTES), b"")


def _unpack(file: IO[bytes], path: Path) -> Iterator[bytes]:
    most_bytes = max(ALWAYS_UNPACKED_BYTES, MOST_EXPANSION * path.stat().st_size)
    unpacked_bytes = 0
    with gzip.GzipFile(fileobj=file) as packed:
        for block in iter(partial(packed.read, BLOCK_BYTES), b""):
            if not unpacked_bytes and block.startswith(_GZIP):
                raise UnknownFormat(f"{path.name} is compressed twice; unpack it first: gunzip {path.name}")
            unpacked_bytes += len(block)
            if unpacked_bytes > most_bytes:
                raise UnknownFormat(
                    f"{path.name} unpacks to more than {MOST_EXPANSION} times its size, which events do not; "
                    "if this is intended, unpack it first"
                )
            yield block


def _encoding(first: bytes, name: str) -> tuple[str, bytes]:
    """The encoding of a text that begins so, and its byte order mark; raises `UnknownFormat` for no text."""
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return encoding, mark
    looked_at = first[:_LOOKED_AT_BYTES]
    zeros_even, zeros_odd = looked_at[::2].count(0), looked_at[1::2].count(0)
    most = len(looked_at) // 2
    # Names of columns and times are ASCII: as UTF-16 every other byte of theirs is zero.
    if zeros_odd > 0.6 * most and not zeros_even:
        return "utf-16-le", b""
    if zeros_even > 0.6 * most and not zeros_odd:
        return "utf-16-be", b""
    if zeros_even + zeros_odd > most // 4:
        raise UnknownFormat(f"{name} is not text: save it as CSV UTF-8 or JSON lines")
    return "utf-8", b""
