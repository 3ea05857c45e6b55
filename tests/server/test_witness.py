"""A witness names alerts as the standards do, and a joint one describes the connection that came furthest."""

from __future__ import annotations

import pytest

from lab.server.witness import Record, alert_name, joint


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0x0230, "fatal unknown_ca"),
        (0x015A, "warning user_canceled"),
        (0x02FE, "fatal 254"),
        (0x0700, "7 close_notify"),
    ],
)
def test_alert_names(code, name):
    """Alerts have the names of RFC 8446, and numbers where it has none."""
    assert alert_name(code) == name


def test_joint_of_nothing_counts_only():
    """A probe whose connections were all refused has a witness that counts them."""
    assert joint([], 2).connections == 2


def test_the_further_one_is_described():
    """Handshake beats bytes, and of equals the last is described."""
    far, loud, last = Record((), 1.0), Record((), 2.0), Record((), 3.0)
    far.handshaken, loud.bytes_in, last.handshaken, last.alert = 1.5, 999, 3.5, "fatal unknown_ca"
    assert joint([far, loud, last], 3).alert == "fatal unknown_ca"
    assert joint([far, loud], 2).handshake


def test_handshake_without_certificate_is_a_resumption():
    """A handshake that finishes without a Certificate message was no full one."""
    record = Record(("aa",), 0.0)
    record.handshaken = 0.1
    assert record.witness().resumed
    record.certificate_made = True
    assert not record.witness().resumed
