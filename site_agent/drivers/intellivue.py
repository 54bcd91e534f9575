"""Philips Avalon and IntelliVue monitors over LAN Data Export: fetal rate, toco, pressure, once a second.

The monitor is asked to associate, its MDS create event is confirmed, and its numerics are polled
each second.  Only the codes whose meaning is published are used.  Which of several rates belongs
to which fetus is not: a monitor with more than one is read only where the site says it by `handles`.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from hub.model import Channel, ChannelSamples, MonitorStatus, SignalQuality, Transducer
from hub.wire import samples_from_values
from site_agent.device import DeviceIdentity, DriverItem, Reject, TickBlock, TimeBase
from site_agent.drivers.cutter import Cutter
from site_agent.drivers.intellivue_wire import (
    CONFIRMED_EVENT,
    ERROR,
    EVENT,
    INVOKE,
    LINKED,
    RESULT,
    MalformedError,
    Message,
    Observation,
    cut,
    is_accept,
    make_association,
    make_confirmation,
    make_poll,
    parse_message,
    read_model,
    read_observations,
)

PERIOD_MS: Final = 1000
POLL_EVERY_MS: Final = 1000.0
SILENCE_MS: Final = 10_000.0
"""Without a result for this long the association is taken for lost."""
RETRY_MS: Final = 5000.0
_GAP_MS: Final = 1000.0
_INVALID: Final = 0x8000 | 0x2000
_QUESTIONABLE: Final = 0x4000
_NOT_A_PATIENT: Final = 0x0800 | 0x0400
_PER_MINUTE: Final = 2720
_MMHG: Final = 3872
_PRESSURES: Final = frozenset({_MMHG, 3843})
_RATES: Final = {61643: Transducer.ULTRASOUND, 61647: Transducer.DECG}
_TOCO: Final = 61652
_IUP: Final = 61656
_UNTOLD: Final = {
    61644: "beat-to-beat ultrasound rate",
    61648: "beat-to-beat ECG rate",
    61645: "signal quality",
    61649: "signal quality",
    61653: "coincidence",
    61680: "fetal movement ratio",
}
"""Known by name, but not in which form their values are."""
_FETUSES: Final = {"fhr1": Channel.FHR1, "fhr2": Channel.FHR2, "fhr3": Channel.FHR3}


class IntelliVue:
    """One association with one monitor; a `Driver`.

    `handles` says which object of the monitor is which fetus, such as {"8721": "fhr2"}.

    Raises
    ------
    ValueError
        If `handles` names something else.
    """

    def __init__(self, *, handles: Mapping[str, str] | None = None) -> None:
        try:
            self._handles = {int(number): _FETUSES[name] for number, name in (handles or {}).items()}
        except (ValueError, KeyError) as error:
            msg = f"handles: expected a number and one of {', '.join(_FETUSES)} each, got {error}"
            raise ValueError(msg) from error
        self._cutter = Cutter(cut, expected="a session header", gap_ms=_GAP_MS, has_checksum=False)
        self._is_associated = False
        self._confirmation = b""
        self._asked_ms: float | None = None
        self._heard_ms: float | None = None
        self._n_polls = 0
        self._told: set[object] = set()

    def feed(self, data: bytes, t_ms: float) -> list[DriverItem]:
        """Take datagrams; what is no good comes back as `Reject`."""
        items: list[DriverItem] = []
        for piece in self._cutter.push(data, t_ms):
            if isinstance(piece, Reject):
                items.append(piece)
            elif is_accept(piece.data):
                self._heard_ms = piece.t_ms
            else:
                try:
                    items += self._take(parse_message(piece.data), piece.t_ms, len(piece.data))
                except MalformedError as error:
                    items.append(Reject("length", str(error), len(piece.data)))
        return items

    def due(self, t_ms: float) -> bytes:
        """Give the one message that is to be sent now: a request, a confirmation or a poll."""
        if self._asked_ms is not None and t_ms < self._asked_ms:  # the clock was set back
            self._asked_ms = self._heard_ms = t_ms
        if self._confirmation:
            out, self._confirmation = self._confirmation, b""
            return out
        if self._is_associated and t_ms - (self._heard_ms or t_ms) > SILENCE_MS:
            self._is_associated = False
            self._asked_ms = None
        wait_ms = POLL_EVERY_MS if self._is_associated else RETRY_MS
        if self._asked_ms is not None and t_ms - self._asked_ms < wait_ms:
            return b""
        self._asked_ms = t_ms
        if not self._is_associated:
            return make_association()
        self._n_polls += 1
        return make_poll(self._n_polls)

    def _take(self, message: Message, t_ms: float, n_bytes: int) -> list[DriverItem]:
        if message.kind == ERROR:
            return [Reject("refused", f"the monitor refuses request {message.invoke}", n_bytes)]
        if message.kind == INVOKE and message.command in (EVENT, CONFIRMED_EVENT):
            model = read_model(message.body)
            if model is not None:
                self._is_associated = True
                self._heard_ms = t_ms
                self._asked_ms = None
                self._confirmation = make_confirmation(message)
                return [DeviceIdentity(model=model or "IntelliVue")]
        if message.kind in (RESULT, LINKED):
            observations = read_observations(message.body)
            if observations is not None:
                self._is_associated = True
                self._heard_ms = t_ms
                return self._read_poll(observations, t_ms)
        return [
            Reject("type", f"expected an MDS create event or a poll result, got {message.command}", n_bytes)
        ]

    def _read_poll(self, observations: list[Observation], t_ms: float) -> list[DriverItem]:
        items: list[DriverItem] = []
        channels: dict[Channel, ChannelSamples] = {}
        rates = [o for o in observations if o.code in _RATES]
        for seen in observations:
            if seen.code in _UNTOLD and seen.code not in self._told:
                self._told.add(seen.code)
                detail = f"{_UNTOLD[seen.code]} ({seen.code}): the form of its values is not published"
                items.append(Reject("undocumented", detail, 0))
            elif seen.code in _RATES:
                items += self._add_rate(channels, seen, is_only=len(rates) == 1)
            elif seen.code == _TOCO:
                items += self._add(
                    channels, Channel.TOCO, Transducer.EXTERNAL, seen, seen.unit not in _PRESSURES
                )
            elif seen.code == _IUP:
                items += self._add(channels, Channel.IUP, Transducer.IUP, seen, seen.unit == _MMHG)
        if channels:
            items.append(
                TickBlock(
                    t0_ms=t_ms,
                    time_base=TimeBase.ARRIVAL,
                    period_ms=PERIOD_MS,
                    n_ticks=1,
                    status=MonitorStatus.ON,
                    channels=tuple(channels[c] for c in sorted(channels)),
                )
            )
        return items

    def _add_rate(
        self, channels: dict[Channel, ChannelSamples], seen: Observation, *, is_only: bool
    ) -> list[DriverItem]:
        channel = self._handles.get(seen.handle)
        if channel is None and is_only and not self._handles:
            channel = Channel.FHR1
        if channel is None or channel in channels:
            detail = f"the rate of object {seen.handle} is of no fetus known: name it in the option handles"
            return [Reject("fetus", detail, 0)]
        return self._add(channels, channel, _RATES[seen.code], seen, seen.unit == _PER_MINUTE)

    def _add(
        self,
        channels: dict[Channel, ChannelSamples],
        channel: Channel,
        transducer: Transducer,
        seen: Observation,
        has_unit: bool,
    ) -> list[DriverItem]:
        value = np.nan if seen.value is None or seen.state & (_INVALID | _NOT_A_PATIENT) else seen.value
        is_doubtful = bool(seen.state & _QUESTIONABLE)
        items: list[DriverItem] = []
        if seen.state & _NOT_A_PATIENT:
            items.append(
                Reject("demo", f"{channel.name}: the monitor says that it is a demonstration or test", 0)
            )
        if not has_unit:
            value = np.nan
            items.append(
                Reject("unit", f"{channel.name}: unit code {seen.unit} is not that of the channel", 0)
            )
        channels[channel] = samples_from_values(
            channel,
            [value],
            transducer=transducer,
            quality=SignalQuality.YELLOW if is_doubtful else SignalQuality.UNKNOWN,
        )
        return items
