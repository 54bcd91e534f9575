"""A wrong configuration never starts, and says in one line what is wrong where."""

from pathlib import Path

import pytest

from hub.errors import SettingsError
from site_agent.config import line_settings, read_config

GOOD = """
site = "h012"
data_dir = "data"
[broker]
host = "127.0.0.1"
[[beds]]
name = "bed1"
driver = "series50"
port = "tcp://127.0.0.1:4001"
"""
EXAMPLE = Path(__file__).parents[2] / "deploy" / "agent.toml"


def write(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_short_file_is_enough(tmp_path: Path):
    config = read_config(write(tmp_path, GOOD))
    assert (config.site, config.beds[0].name, config.broker.port) == ("h012", "bed1", 1883)
    assert config.data_dir == tmp_path / "data"
    assert (line := line_settings(config.beds[0])) is not None
    assert line.baud == 1200


def test_the_example_is_right_but_for_the_certificates_of_the_site(tmp_path: Path):
    text = EXAMPLE.read_text(encoding="utf-8").replace("tls = true", "tls = false")
    for key in ("ca_file", "cert_file", "key_file"):
        text = text.replace(f"\n{key}", f"\n# {key}")
    config = read_config(write(tmp_path, text))
    assert [bed.name for bed in config.beds] == ["ldr1", "ldr2"]


@pytest.mark.parametrize(
    ("was", "becomes", "complaint"),
    [
        ('site = "h012"', 'site = "h 12"', r"site: expected 1 to 32 characters .* got 'h 12'"),
        ('site = "h012"', "", r"top level: object missing required field `site`"),
        ('host = "127.0.0.1"', 'host = "x"\nport = "1883"', r"broker\.port: expected `int`, got `str`"),
        ('host = "127.0.0.1"', 'host = "x"\nport = 70000', r"broker\.port: expected 1 to 65535, got 70000"),
        ('host = "127.0.0.1"', 'host = "x"\nkeepalive_s = 60', r"keepalive_s: expected 5 to 15, got 60"),
        (
            'host = "127.0.0.1"',
            'host = "x"\nca_file = "ca.pem"',
            r"broker\.tls: expected true, because ca_file",
        ),
        (
            'host = "127.0.0.1"',
            'host = "x"\npassword_file = "no"',
            r"password_file: expected a readable file",
        ),
        ('host = "127.0.0.1"', 'host = "x"\nhsot = "y"', r"broker: object contains unknown field `hsot`"),
        (
            'driver = "series50"',
            'driver = "seris50"',
            r"beds\[bed1\]: driver: expected one of .* got 'seris50'",
        ),
        (
            'port = "tcp://127.0.0.1:4001"',
            'port = "udp:1"',
            r"beds\[bed1\]: driver series50: expected a port",
        ),
        (
            'name = "bed1"',
            'name = "bed1"\nweeks = 390',
            r"weeks: expected 20 to 45 weeks of gestation, got 390",
        ),
        ('driver = "series50"', 'driver = "series50"\noptions = {x = 1}', r"beds\[bed1\]: .*got 'x'"),
        ('port = "tcp://127.0.0.1:4001"', 'port = "tcp://h"', r"beds\[bed1\]: port .*: expected a number"),
        ("[broker]", "[limits]\noutbox_mb = 1\n[broker]", r"outbox_mb: expected at least 20, got 1"),
        ("[broker]", "[brok", r"expected TOML, got: "),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, was: str, becomes: str, complaint: str):
    assert was in GOOD
    path = write(tmp_path, GOOD.replace(was, becomes))
    with pytest.raises(SettingsError, match=complaint) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_two_beds_of_one_name_or_one_port_are_told_apart(tmp_path: Path):
    bed = GOOD[GOOD.index("[[beds]]") :]
    with pytest.raises(SettingsError, match=r"beds: expected a name for each bed, got \['bed1'\]"):
        read_config(write(tmp_path, GOOD + bed))
    second = bed.replace('name = "bed1"', 'name = "bed2"')
    with pytest.raises(SettingsError, match="expected a source of its own for each"):
        read_config(write(tmp_path, GOOD + second))


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"nowhere\.toml: expected a readable file"):
        read_config(tmp_path / "nowhere.toml")
