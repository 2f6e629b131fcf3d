"""The beginning of a response body with its content coding removed, whatever the body would unpack to."""

import zlib
from collections.abc import Iterable

_GZIP, _ZLIB, _RAW = 31, 15, -15  # zlib's window sizes: with gzip header, with zlib header, without any
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}


def coding_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The one content coding of an answer; empty for none, ``?`` for a chain or a packing transfer coding."""
    coding = ""
    for name, value in headers:
        lower = name.lower()
        if lower == b"content-encoding":
            token = value.strip().lower().decode("latin-1")
            coding = token if not coding else "?"
        elif lower == b"transfer-encoding" and value.strip().lower() != b"chunked":
            return "?"
    return "" if coding == "identity" else coding


class BodyPrefix:
    """Keeps the first bytes of a body and drops the rest without unpacking it.

    A coding that is not known is not kept at all: secrets are masked in what is stored (S11g), and nothing
    could be found in packed bytes.
    """

    __slots__ = ("_coding", "_decoder", "_kept", "_left", "truncated")

    def __init__(self, coding: str, limit_bytes: int) -> None:
        self._coding = coding
        self._kept = bytearray()
        self._left = limit_bytes
        self.truncated = False
        window = _WINDOWS.get(coding)
        self._decoder = None if window is None else zlib.decompressobj(window)

    def feed(self, data: bytes) -> None:
        """Take the next bytes as they came over the wire."""
        if self.truncated:
            return
        if self._decoder is not None:
            self._keep(self._decode(data))
        elif self._coding:
            self.truncated = True
        else:
            self._keep(data)

    def finish(self) -> bytes:
        """The bytes kept. A packed body that ends in the middle is truncated."""
        if self._decoder is not None and (not self._decoder.eof or self._decoder.unused_data):
            self.truncated = True
        return bytes(self._kept)

    def _keep(self, data: bytes) -> None:
        if len(data) > self._left:
            data = data[: self._left]
            self.truncated = True
        self._left -= len(data)
        self._kept += data

    def _decode(self, data: bytes) -> bytes:
        # One byte more than is wanted tells a body that ends here from one that goes on.
        wanted = self._left + 1
        decoder = self._decoder
        if decoder is None or decoder.eof:
            return b""
        try:
            return decoder.decompress(data, wanted)
        except zlib.error:
            pass
        if self._coding == "deflate" and not self._kept:
            # "deflate" is zlib by RFC 9110, 8.4.1.2, and raw from servers that never read it.
            self._coding, self._decoder = "raw", zlib.decompressobj(_RAW)
            return self._decode(data)
        self.truncated = True
        return b""
