"""Who may use the hub, as far as a browser can be led astray."""

import pytest

from hub.web.access import AccessPolicy, Caller


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "hub", "10.0.3.4", "hub.local", "ctg.example.jp"],
)
def test_addresses_local_names_and_configured_names_are_known(host: str):
    assert AccessPolicy(hosts=frozenset({"ctg.example.jp"})).is_known_host(host)


@pytest.mark.parametrize("host", ["evil.example", "ctg.example.jp.evil.example", "", None, "[", "1.2.3.4.5"])
def test_a_public_name_that_is_not_configured_is_unknown(host: str | None):
    assert not AccessPolicy(hosts=frozenset({"ctg.example.jp"})).is_known_host(host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://hub:8000", "hub:8000"),
        ("https://hub", "hub"),
        ("https://hub:443", "hub"),
        ("https://console.example", "hub:8000"),
    ],
)
def test_own_pages_and_allowed_origins_may_use_the_hub(origin: str, host: str | None):
    assert AccessPolicy(origins=frozenset({"https://console.example"})).is_own_origin(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "hub:8000"),
        ("http://hub:9000", "hub:8000"),
        ("http://hub.evil.example", "hub"),
        ("null", "hub"),
        ("http://hub:notaport", "hub"),
        ("http://hub", None),
    ],
)
def test_foreign_pages_may_not(origin: str, host: str | None):
    assert not AccessPolicy().is_own_origin(origin, host)


def test_a_caller_sees_the_sites_of_its_scope_only():
    assert Caller(name="a").may_see("h012")
    assert Caller(name="a", sites=frozenset({"h012"})).may_see("h012")
    assert not Caller(name="a", sites=frozenset({"h012"})).may_see("h013")
