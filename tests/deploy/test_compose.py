"""docker-compose.yml held against the code that it runs; no container engine is needed."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import device_sim.__main__
import hub.__main__
from device_sim.broker import parse_broker
from hub.settings import Settings, broker_address, read_settings
from tests.deploy.conftest import ROOT, Deployment, MissingVariableError, fill_in_all, read_env

COMMANDS = {"ctg-hub": hub.__main__.app, "ctg-sim": device_sim.__main__.app}
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|KEY\b")
VARIABLE = re.compile(r"\$\{(\w+)(:[-?])?([^}]*)\}")
TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
TLS: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.tls.yml").read_text("utf-8"))


def published(service: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Address, outer port and inner port of each published port."""
    return [tuple(port.split(":")) for port in service.get("ports", [])]


def use_environment(monkeypatch: pytest.MonkeyPatch, service: dict[str, Any]) -> Settings:
    """Read the settings of a container as its command does."""
    for name, value in service["environment"].items():
        monkeypatch.setenv(name, value)
    return read_settings()


@pytest.fixture
def filled(compose: dict[str, Any], deployment: Deployment) -> dict[str, Any]:
    """The compose file with the variables that `credentials.py init` has made."""
    whole: dict[str, Any] = fill_in_all(compose, deployment.variables)
    return whole


def test_the_simulator_starts_only_when_it_is_asked_for(compose: dict[str, Any]):
    assert set(compose["services"]) == {"mosquitto", "timescaledb", "hub", "simulator"}
    assert compose["services"]["simulator"]["profiles"] == ["simulator"]


def test_every_variable_of_the_hub_is_a_setting(compose: dict[str, Any]):
    known = {f"CTG_{name.upper()}" for name in Settings.model_fields}
    assert set(compose["services"]["hub"]["environment"]) <= known


def test_the_hub_reads_its_settings_and_finds_broker_and_database(
    filled: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    settings = use_environment(monkeypatch, filled["services"]["hub"])
    listener = (ROOT / "deploy/mosquitto/listeners/internal.conf").read_text("utf-8")
    broker = broker_address(settings, "hub-1")
    assert (broker.host, broker.username) == ("mosquitto", "hub")
    assert f"listener {broker.port}\n" in listener
    assert settings.database_url is not None
    role, password, host, database = re.fullmatch(
        r"postgresql://(\w+):([\w-]+)@(\w+):5432/(\w+)", settings.database_url.get_secret_value()
    ).groups()  # type: ignore[union-attr]  # the test fails here as well
    server = filled["services"][host]["environment"]
    assert password == server["CTG_DB_PASSWORD"]
    assert database == server["POSTGRES_DB"]
    assert f"CREATE ROLE {role} " in (ROOT / "deploy/postgres/hub-role.sh").read_text("utf-8")
    assert password not in {broker.password, server["POSTGRES_PASSWORD"]}


def test_the_ports_that_are_published_are_those_that_are_listened_on(
    filled: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    settings = use_environment(monkeypatch, filled["services"]["hub"])
    assert settings.http_host == "0.0.0.0"
    assert published(filled["services"]["hub"]) == [("127.0.0.1", "8000", str(settings.http_port))]
    assert published(filled["services"]["mosquitto"]) == [("127.0.0.1", "1883", str(settings.mqtt_port))]
    assert f"EXPOSE {settings.http_port}" in (ROOT / "Dockerfile").read_text("utf-8")
    tls = fill_in_all(TLS, {})["services"]["mosquitto"]
    assert published(tls) == [("0.0.0.0", "8883", "8883")]
    assert "listener 8883\n" in (ROOT / "deploy/mosquitto/listeners/tls.conf").read_text("utf-8")


def test_the_database_is_published_nowhere_and_only_the_hub_reaches_it(compose: dict[str, Any]):
    services = compose["services"]
    assert "ports" not in services["timescaledb"]
    assert services["timescaledb"]["networks"] == ["data"]
    assert compose["networks"]["data"]["internal"] is True
    assert [name for name, service in services.items() if "data" in service["networks"]] == [
        "timescaledb",
        "hub",
    ]


@pytest.mark.parametrize("name", ["hub", "simulator"])
def test_a_container_runs_a_command_of_the_project_with_options_that_it_has(
    filled: dict[str, Any], name: str
):
    script, *arguments = filled["services"][name]["command"]
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    module, _, attribute = scripts[script].partition(":")
    assert getattr(
        {"hub.__main__": hub.__main__, "device_sim.__main__": device_sim.__main__}[module], attribute
    )
    group: Any = typer.main.get_command(COMMANDS[script])
    command = group.commands[arguments[0]]
    command.make_context(arguments[0], arguments[1:])  # raises on an option that there is not


def test_the_simulator_is_sent_to_the_broker_as_a_user_that_may_play_its_sites(filled: dict[str, Any]):
    url = filled["services"]["simulator"]["command"][-1]
    broker = parse_broker(url)
    assert (broker.host, broker.port, broker.username) == ("mosquitto", 1883, "simulator")
    assert "\nuser simulator\n" in (ROOT / "deploy/mosquitto/acl").read_text("utf-8")


def test_no_secret_has_a_default_and_none_is_written_down():
    for name, sign, _ in VARIABLE.findall(TEXT):
        if SECRET.search(name):
            assert sign == ":?", name
    written = re.findall(r"^\s*\w*(?:PASSWORD|SECRET|TOKEN)\w*:\s*(.*)$", TEXT, flags=re.M)
    assert written
    assert all(re.fullmatch(r'"\$\{\w+:\?[^}]*\}"', value) for value in written)
    example = read_env(ROOT / ".env.example")
    assert not any(value for name, value in example.items() if SECRET.search(name))


@pytest.mark.parametrize(
    "missing", sorted({name for name, sign, _ in VARIABLE.findall(TEXT) if sign == ":?"})
)
def test_compose_refuses_to_start_while_a_secret_is_missing(
    compose: dict[str, Any], deployment: Deployment, missing: str
):
    variables = {name: value for name, value in deployment.variables.items() if name != missing}
    with pytest.raises(MissingVariableError, match=missing):
        fill_in_all(compose, variables)
    with pytest.raises(MissingVariableError):
        fill_in_all(compose, read_env(ROOT / ".env.example"))


def test_the_example_names_every_variable_with_its_default():
    example = read_env(ROOT / ".env.example")
    both = TEXT + (ROOT / "deploy/compose.tls.yml").read_text("utf-8")
    found = {name: word for name, sign, word in VARIABLE.findall(both) if sign == ":-"}
    required = {name for name, sign, _ in VARIABLE.findall(both) if sign == ":?"}
    assert {name: value for name, value in example.items() if name not in required} == found
    assert {name for name, value in example.items() if not value} == required


def test_limits_in_the_example_are_those_of_the_code():
    example = read_env(ROOT / ".env.example")
    fields = Settings.model_fields
    assert int(example["CTG_MAX_BEDS"]) == fields["max_beds"].default
    assert example["CTG_LOG_LEVEL"] == fields["log_level"].default
    for name in ("allowed_origins", "allowed_hosts"):
        assert tuple(json.loads(example[f"CTG_{name.upper()}"])) == fields[name].default


def test_every_container_is_confined_bounded_and_started_again(filled: dict[str, Any]):
    for name, service in filled["services"].items():
        assert service["restart"] == "unless-stopped", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"max-size", "max-file"} <= set(service["logging"]["options"]), name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert service["pids_limit"] > 0, name
        assert not service.get("privileged"), name
        assert "network_mode" not in service, name


def test_no_container_runs_as_root(filled: dict[str, Any]):
    for name in ("mosquitto", "timescaledb"):
        assert int(filled["services"][name]["user"].split(":")[0]) > 0
    users = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.M)
    assert users
    assert all(int(number) > 0 for number in users[-1])


def test_images_are_pinned_to_a_version(compose: dict[str, Any]):
    for service in compose["services"].values():
        assert re.fullmatch(r"[\w/-]+:\d+\.\d+\.\d+(-pg16)?", service["image"])
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert compose["services"]["hub"]["image"] == f"ctg-hub:{version}"
    assert compose["services"]["simulator"]["image"] == f"ctg-hub:{version}"


def test_the_edition_of_timescaledb_can_compress(compose: dict[str, Any]):
    migration = (ROOT / "hub/store/migrations/0002_segments.timescaledb.sql").read_text("utf-8")
    assert "add_compression_policy" in migration
    assert "oss" not in compose["services"]["timescaledb"]["image"]


def test_whoever_is_waited_for_has_a_health_check(compose: dict[str, Any]):
    services = compose["services"]
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert services[name]["healthcheck"]["test"][0] == "CMD"
    assert set(services["hub"]["depends_on"]) == {"mosquitto", "timescaledb"}


def test_every_volume_and_network_is_declared_and_every_mounted_file_exists(
    compose: dict[str, Any], deployment: Deployment
):
    assert {name for service in compose["services"].values() for name in service["networks"]} == set(
        compose["networks"]
    )
    named = set()
    for service in (*compose["services"].values(), *TLS["services"].values()):
        for volume in service.get("volumes", []):
            source, _, options = volume.partition(":")
            if not source.startswith("./"):
                named.add(source)
                continue
            assert options.endswith(":ro"), volume
            made = deployment.root if source == "./deploy/secrets/broker" else ROOT
            assert source == "./deploy/secrets/tls/broker" or (made / source).exists(), volume
    assert named == set(compose["volumes"])


def test_what_the_brokers_files_name_is_mounted_there(compose: dict[str, Any]):
    mounted = {volume.split(":")[1] for volume in compose["services"]["mosquitto"]["volumes"]}
    tls = {volume.split(":")[1] for volume in TLS["services"]["mosquitto"]["volumes"]}
    configuration = "".join(
        file.read_text("utf-8") for file in sorted((ROOT / "deploy/mosquitto").rglob("*.conf"))
    )
    for path in re.findall(r"^\w+ (/mosquitto/\S+)$", configuration, flags=re.M):
        assert any(
            Path(path).is_relative_to(place) or Path(place).parent == Path(path) for place in mounted | tls
        ), path


def test_the_script_that_makes_the_hubs_role_can_be_executed(compose: dict[str, Any]):
    # The image sources a script that is not executable, and `set -eu` would then reach its own.
    script = ROOT / "deploy/postgres/hub-role.sh"
    assert script.stat().st_mode & 0o111 == 0o111
    volumes = compose["services"]["timescaledb"]["volumes"]
    assert any(
        volume.startswith("./deploy/postgres/hub-role.sh:/docker-entrypoint-initdb.d/") for volume in volumes
    )


def test_secrets_are_not_tracked_and_reach_no_image():
    assert "secrets/" in (ROOT / "deploy/.gitignore").read_text("utf-8").split()
    kept = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in kept
    assert not [line for line in kept if line.startswith("!") and ("env" in line or "secrets" in line)]
