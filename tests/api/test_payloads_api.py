"""Links to payloads: made for one delivery, checked in constant time, dead after 30 days (S11d)."""

import pytest

from gateway.domain.payload_links import PayloadLinks


def test_a_link_is_the_same_each_time_and_of_one_delivery_alone():
    links = PayloadLinks("https://gateway.example/", [bytes(32)])
    url = links.url("dlv_a")
    assert url == links.url("dlv_a")
    path, _, signature = url.partition("?sig=")
    assert path == "https://gateway.example/payloads/dlv_a"
    assert links.accepts("dlv_a", signature)
    assert not links.accepts("dlv_b", signature)
    assert not links.accepts("dlv_a", signature + "A")
    assert not links.accepts("dlv_a", "")
    assert not links.accepts("dlv_a", "é")


def test_a_link_lives_through_the_rotation_of_the_server_s_key():
    old, new = bytes(32), bytes([1]) * 32
    signature = PayloadLinks("https://gateway.example", [old]).url("dlv_a").partition("?sig=")[2]
    assert PayloadLinks("https://gateway.example", [new, old]).accepts("dlv_a", signature)
    assert not PayloadLinks("https://gateway.example", [new]).accepts("dlv_a", signature)
    with pytest.raises(ValueError, match="at least one key"):
        PayloadLinks("https://gateway.example", [])


@pytest.mark.parametrize("path", ["dlv_x?sig=a", "dlv_" + "a" * 36 + "?sig=" + "b" * 43, "x", "dlv_?sig="])
def test_what_is_no_link_is_not_found(anonymous, path):
    answer = anonymous.get(f"/payloads/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
