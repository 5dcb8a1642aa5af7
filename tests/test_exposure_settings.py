"""The settings that say to whom the API is open."""

from pathlib import Path

import pytest

from oxbot.config import InvalidSetting, load_settings
from oxbot.wiring.api import exposure
from oxbot.wiring.http_server import TlsFiles


def test_nothing_is_open_and_nobody_believed_unless_it_is_set() -> None:
    exposed = exposure(load_settings({}))

    assert (exposed["tls"], exposed["plain_http"]) == (None, False)
    assert (exposed["options"].trusted_proxies, exposed["options"].allowed_origins) == ((), ())
    assert exposed["options"].user_requests_per_second >= 50


def test_everything_can_be_set() -> None:
    given = {
        "OXBOT_API_TLS_CERT": "/c.pem",
        "OXBOT_API_TLS_KEY": "/k.pem",
        "OXBOT_API_PLAIN_HTTP": "true",
        "OXBOT_API_TRUSTED_PROXIES": "192.0.2.1, 2001:db8::/32",
        "OXBOT_API_ALLOWED_ORIGINS": "https://desk.example.com,http://localhost:3000",
        "OXBOT_API_USER_REQUESTS_PER_SECOND": "0",
        "OXBOT_API_ADDRESS_REQUESTS_PER_SECOND": "7.5",
    }
    exposed = exposure(load_settings(given))

    assert exposed["tls"] == TlsFiles(Path("/c.pem"), Path("/k.pem"))
    assert exposed["plain_http"]
    assert exposed["options"].trusted_proxies == ("192.0.2.1", "2001:db8::/32")
    assert exposed["options"].allowed_origins == ("https://desk.example.com", "http://localhost:3000")
    assert exposed["options"].user_requests_per_second == 0
    assert exposed["options"].address_requests_per_second == 7.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OXBOT_API_TRUSTED_PROXIES", "*"),
        ("OXBOT_API_TRUSTED_PROXIES", "proxy.example.com"),
        ("OXBOT_API_TRUSTED_PROXIES", "192.0.2.1/24"),
        ("OXBOT_API_ALLOWED_ORIGINS", "*"),
        ("OXBOT_API_ALLOWED_ORIGINS", "null"),
        ("OXBOT_API_ALLOWED_ORIGINS", "desk.example.com"),
        ("OXBOT_API_ALLOWED_ORIGINS", "https://desk.example.com/"),
        ("OXBOT_API_ALLOWED_ORIGINS", "https://*.example.com"),
        ("OXBOT_API_TLS_CERT", "/c.pem"),
        ("OXBOT_API_TLS_KEY", "/k.pem"),
        ("OXBOT_API_USER_REQUESTS_PER_SECOND", "-1"),
        ("OXBOT_API_PLAIN_HTTP", "perhaps"),
    ],
)
def test_what_would_open_it_by_mistake_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=name):
        load_settings({name: value})
