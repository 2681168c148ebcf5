"""Hosts as people write them, and addresses that can be copied."""

import pytest

from repository.addresses import bare_host, host_and_port, url_of


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("::1", "::1"),
        (" [::1] ", "::1"),
        ("triton", "triton"),
        ("10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_a_host_is_read_with_and_without_brackets(given: str, host: str) -> None:
    assert bare_host(given) == host


@pytest.mark.parametrize("given", ["", " ", "http://triton", "triton:8000", "[::1]:8000", "a b", "::g"])
def test_what_is_more_than_a_host_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        bare_host(given)


def test_an_ipv6_address_is_written_with_brackets() -> None:
    assert host_and_port("::1", 80) == "[::1]:80"
    assert host_and_port("triton", 80) == "triton:80"
    assert url_of("::", 8100) == "http://[::1]:8100"
    assert url_of("0.0.0.0", 8100) == "http://127.0.0.1:8100"
