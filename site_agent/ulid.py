"""Identifiers that sort by time (ULID)."""

import secrets
from typing import Final

_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def make_ulid(t_ms: int) -> str:
    """48 bits of time, 80 of chance, in 26 characters of Crockford's base 32."""
    number = (t_ms & (1 << 48) - 1) << 80 | secrets.randbits(80)
    return "".join(_DIGITS[number >> shift & 31] for shift in range(125, -5, -5))
