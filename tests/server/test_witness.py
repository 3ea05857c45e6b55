"""A witness names alerts as the standards do, and the connection that came furthest describes a probe."""

from __future__ import annotations

import pytest

from lab.server.witness import Record, alert_name, further


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


def test_the_further_one_is_kept():
    """Handshake beats bytes, and of equals the new one is kept."""
    far, loud, last = Record((), 1.0), Record((), 2.0), Record((), 3.0)
    far.handshaken, loud.bytes_in, last.handshaken = 1.5, 999, 3.5
    assert further(None, far) is far
    assert further(far, loud) is far
    assert further(loud, far) is far
    assert further(far, last) is last


def test_handshake_without_certificate_is_a_resumption():
    """A handshake that finishes without a Certificate message was no full one."""
    record = Record(("aa",), 0.0)
    record.handshaken = 0.1
    assert record.witness().resumed
    record.certificate_made = True
    assert not record.witness().resumed
