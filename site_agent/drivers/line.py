"""How a serial line is set."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LineSettings:
    """Speed and form of a serial line; 8N1 unless told."""

    baud: int
    data_bits: int = 8
    parity: str = "N"
    stop_bits: int = 1

    @property
    def byte_ms(self) -> float:
        """Time that one byte takes, with its start, parity and stop bits."""
        bits = 1 + self.data_bits + (self.parity != "N") + self.stop_bits
        return 1000.0 * bits / self.baud

    def __str__(self) -> str:
        """As people write it: 1200 8N1."""
        return f"{self.baud} {self.data_bits}{self.parity}{self.stop_bits}"
