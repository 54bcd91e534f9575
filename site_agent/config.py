"""The agent's one file, in TOML, read and checked as a whole before anything starts."""

import re
import ssl
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from hub.errors import SettingsError
from site_agent.drivers.line import LineSettings
from site_agent.drivers.registry import find_driver, make_driver
from site_agent.now import AgentClock
from site_agent.ports import open_port

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
MIN_OUTBOX_MB: Final = 20


class BrokerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the broker is and how the site makes itself known there."""

    host: str
    port: int = 1883
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    username: str | None = None
    password_file: str | None = None
    keepalive_s: int = 10


class BedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One bed and the device that stands there."""

    name: str
    driver: str
    port: str
    label: str | None = None
    weeks: float | None = None
    is_twin: bool = False
    source: str | None = None
    """The device's own name of the bed, where one port carries several."""
    test: bool = False
    """Marks all frames as test data, such as those of a replay."""
    baud: int | None = None
    data_bits: int = 8
    parity: str = "N"
    stop_bits: int = 1
    options: dict[str, Any] = {}


class LimitsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the agent may use."""

    outbox_mb: int = 2000
    reserve_mb: int = 16
    fill_frames_per_s: float = 200.0
    """On the fill lane, without a credit of the hub."""
    raw_log_mb: int = 512
    """For each port."""


class PageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The site's own page."""

    host: str = "127.0.0.1"
    port: int = 8080


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    site: str
    name: str | None = None
    data_dir: str = "/var/lib/ctg-agent"
    log_level: str = "INFO"
    broker: BrokerConfig
    beds: list[BedConfig]
    limits: LimitsConfig = LimitsConfig()
    page: PageConfig | None = None


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Everything an agent is told, checked."""

    path: Path
    site: str
    name: str | None
    data_dir: Path
    log_level: str
    broker: BrokerConfig
    beds: tuple[BedConfig, ...]
    limits: LimitsConfig
    page: PageConfig | None
    tls: ssl.SSLContext | None = field(repr=False, default=None)
    password: str | None = field(repr=False, default=None)


def read_config(path: Path) -> AgentConfig:
    """Read and check the file; relative paths in it are meant from its own folder.

    Raises
    ------
    SettingsError
        Naming the file, the key, what was expected and what came.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: expected a readable file in UTF-8, got: {error}"
        raise SettingsError(msg) from error
    except tomllib.TOMLDecodeError as error:
        msg = f"{path}: expected TOML, got: {error}"
        raise SettingsError(msg) from error
    try:
        file = msgspec.convert(raw, _File)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        key = where.rstrip("`").lstrip(".") or "top level"
        msg = f"{path}: {key}: {what[:1].lower() + what[1:]}"
        raise SettingsError(msg) from error
    check = _Check(path)
    check.whole(file)
    for bed in file.beds:
        check.bed(bed)
    check.ports(file.beds)
    return AgentConfig(
        path=path,
        site=file.site,
        name=file.name,
        data_dir=path.parent / file.data_dir,
        log_level=file.log_level,
        broker=file.broker,
        beds=tuple(file.beds),
        limits=file.limits,
        page=file.page,
        tls=check.tls(file.broker),
        password=check.password(file.broker),
    )


def line_settings(bed: BedConfig) -> LineSettings | None:
    """Say how the bed's serial line is set; None where it is not one."""
    usual = find_driver(bed.driver).line
    if bed.baud is None:
        return usual
    return LineSettings(bed.baud, bed.data_bits, bed.parity, bed.stop_bits)


class _Check:
    def __init__(self, path: Path) -> None:
        self._path = path

    def _must(self, holds: bool, key: str, expected: str, came: object) -> None:
        if not holds:
            msg = f"{self._path}: {key}: expected {expected}, got {came!r}"
            raise SettingsError(msg)

    def whole(self, file: _File) -> None:
        name = "1 to 32 characters of A-Z a-z 0-9 _ -"
        self._must(NAME.fullmatch(file.site) is not None, "site", name, file.site)
        levels = ("DEBUG", "INFO", "WARNING", "ERROR")
        self._must(file.log_level in levels, "log_level", f"one of {', '.join(levels)}", file.log_level)
        broker, limits = file.broker, file.limits
        self._must(bool(broker.host), "broker.host", "a host name or address", broker.host)
        self._must(0 < broker.port < 65536, "broker.port", "1 to 65535", broker.port)
        self._must(5 <= broker.keepalive_s <= 15, "broker.keepalive_s", "5 to 15", broker.keepalive_s)
        self._must(
            limits.outbox_mb >= MIN_OUTBOX_MB,
            "limits.outbox_mb",
            f"at least {MIN_OUTBOX_MB}",
            limits.outbox_mb,
        )
        self._must(
            0 <= limits.reserve_mb < limits.outbox_mb,
            "limits.reserve_mb",
            "0 or more, and less than limits.outbox_mb",
            limits.reserve_mb,
        )
        self._must(
            0 < limits.fill_frames_per_s <= 20_000,
            "limits.fill_frames_per_s",
            "more than 0, at most 20000",
            limits.fill_frames_per_s,
        )
        self._must(limits.raw_log_mb >= 1, "limits.raw_log_mb", "at least 1", limits.raw_log_mb)
        self._must(bool(file.beds), "beds", "at least one bed", [])
        names = [bed.name for bed in file.beds]
        twice = sorted({bed for bed in names if names.count(bed) > 1})
        self._must(not twice, "beds", "a name for each bed", twice)

    def bed(self, bed: BedConfig) -> None:
        where = f"beds[{bed.name}]"
        self._must(
            NAME.fullmatch(bed.name) is not None,
            f"{where}.name",
            "1 to 32 characters of A-Z a-z 0-9 _ -",
            bed.name,
        )
        self._must(
            bed.weeks is None or 20 <= bed.weeks <= 45,
            f"{where}.weeks",
            "20 to 45 weeks of gestation",
            bed.weeks,
        )
        self._must(bed.baud is None or 50 <= bed.baud <= 921_600, f"{where}.baud", "50 to 921600", bed.baud)
        self._must(bed.data_bits in (7, 8), f"{where}.data_bits", "7 or 8", bed.data_bits)
        self._must(bed.parity in ("N", "E", "O"), f"{where}.parity", "N, E or O", bed.parity)
        self._must(bed.stop_bits in (1, 2), f"{where}.stop_bits", "1 or 2", bed.stop_bits)
        try:
            find_driver(bed.driver, bed.port)
            make_driver(bed.driver, bed.options)
            open_port(bed.port, clock=AgentClock(), line=line_settings(bed))  # opens nothing yet
        except SettingsError as error:
            msg = f"{self._path}: {where}: {error}"
            raise SettingsError(msg) from error

    def ports(self, beds: list[BedConfig]) -> None:
        """Check that beds of one port can be told apart and agree about it."""
        by_port: dict[str, list[BedConfig]] = {}
        for bed in beds:
            by_port.setdefault(bed.port, []).append(bed)
        for port, sharing in by_port.items():
            if len(sharing) > 1:
                where = f"beds on port {port}"
                self._must(
                    len({bed.driver for bed in sharing}) == 1,
                    where,
                    "one driver",
                    [bed.driver for bed in sharing],
                )
                sources = [bed.source for bed in sharing]
                self._must(
                    None not in sources and len(set(sources)) == len(sources),
                    where,
                    "a source of its own for each",
                    sources,
                )

    def tls(self, broker: BrokerConfig) -> ssl.SSLContext | None:
        files = {"ca_file": broker.ca_file, "cert_file": broker.cert_file, "key_file": broker.key_file}
        if not broker.tls:
            given = [key for key, value in files.items() if value]
            self._must(not given, "broker.tls", f"true, because {', '.join(given)} is set", False)
            return None
        paths = {key: self._path.parent / value for key, value in files.items() if value}
        try:
            context = ssl.create_default_context(cafile=paths.get("ca_file"))
            if "cert_file" in paths:
                context.load_cert_chain(paths["cert_file"], paths.get("key_file"))
        except OSError as error:
            msg = f"{self._path}: broker: expected readable PEM files in {files}, got: {error}"
            raise SettingsError(msg) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def password(self, broker: BrokerConfig) -> str | None:
        if broker.password_file is None:
            return None
        path = self._path.parent / broker.password_file
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{self._path}: broker.password_file: expected a readable file, got: {error}"
            raise SettingsError(msg) from error
