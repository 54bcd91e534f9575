"""What a client of the live push may say."""

from typing import Annotated

import msgspec

BedName = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,32}/[A-Za-z0-9_-]{1,32}$")]
Selection = Annotated[list[BedName], msgspec.Meta(max_length=2000)] | None


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """First message: which beds (null: all of the caller's), and how much history."""

    beds: Selection = None
    history_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Select(msgspec.Struct, frozen=True, tag="beds"):
    """From now on these beds."""

    beds: Selection


class Acknowledge(msgspec.Struct, frozen=True, tag="ack"):
    """Everything up to `seq` has been handled."""

    seq: Annotated[int, msgspec.Meta(ge=0)]


ClientMessage = Hello | Select | Acknowledge

_DECODER: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)


def decode_client_message(text: str) -> ClientMessage:
    """Decode one message.  Raises ValueError saying what was expected, where, and what came."""
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
