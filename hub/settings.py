"""Everything that can be set, read once from the environment and checked at start."""

import ssl
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from hub.acquisition.mqtt import BrokerAddress
from hub.errors import SettingsError


class Settings(BaseSettings):
    """Settings of `ctg-hub serve`; each is an environment variable with the prefix `CTG_`."""

    model_config = SettingsConfigDict(env_prefix="CTG_", frozen=True, extra="forbid")

    mqtt_host: str = Field("127.0.0.1", description="Host of the MQTT broker")
    mqtt_port: int = Field(1883, ge=1, le=65535, description="Port of the MQTT broker")
    mqtt_username: str | None = Field(None, description="User at the broker")
    mqtt_password: SecretStr | None = Field(None, description="Password at the broker")
    mqtt_ca_file: Path | None = Field(None, description="CA of the broker; setting it turns TLS on")
    mqtt_cert_file: Path | None = Field(None, description="The hub's client certificate")
    mqtt_key_file: Path | None = Field(None, description="Key of that certificate")
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL DSN; without it the embedded PostgreSQL is started in the data folder"
    )
    data_dir: Path = Field(
        Path(".ctg-hub"), description="Folder of the alert journal, and of the embedded PostgreSQL"
    )
    http_host: str = Field("127.0.0.1", description="Address the consoles connect to")
    http_port: int = Field(8000, ge=1, le=65535, description="Port the consoles connect to")
    allowed_origins: tuple[str, ...] = Field(
        (),
        description='Further origins that may open the live socket, as a JSON list, such as ["https://a.example"]',
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Public names under which consoles reach the hub, as a JSON list"
    )
    max_beds: int = Field(256, ge=1, le=20000, description="Beds that this worker keeps in memory")
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged"
    )


def read_settings() -> Settings:
    """Read and check the environment.  Raises SettingsError naming the variable."""
    try:
        return Settings()  # type: ignore[call-arg]  # every field has a default; the plugin-less checker cannot see it
    except ValidationError as error:
        first = error.errors()[0]
        name = "CTG_" + "_".join(str(part) for part in first["loc"]).upper()
        msg = f"{name}: {first['msg']}, got {first['input']!r}"
        raise SettingsError(msg) from error


def broker_address(settings: Settings, client_id: str) -> BrokerAddress:
    """Where the broker is.  Raises SettingsError when the TLS files cannot be read."""
    password = settings.mqtt_password
    return BrokerAddress(
        host=settings.mqtt_host,
        port=settings.mqtt_port,
        client_id=client_id,
        username=settings.mqtt_username,
        password=password.get_secret_value() if password else None,
        tls=_tls_context(settings),
    )


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    if settings.mqtt_ca_file is None:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.mqtt_ca_file)
        if settings.mqtt_cert_file is not None:
            context.load_cert_chain(settings.mqtt_cert_file, settings.mqtt_key_file)
    except OSError as error:
        msg = f"TLS files of the broker: expected readable PEM files, got {error}"
        raise SettingsError(msg) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
