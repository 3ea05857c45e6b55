"""What is said of a certificate's revocation, and by whom: a staple, an OCSP responder, a CRL."""

from __future__ import annotations

from typing import Literal

__all__ = ["CrlSays", "OcspSays", "StapleSays", "said"]

StapleSays = Literal[False, True, "honest", "good", "revoked", "unknown", "expired", "not-yet-valid", "wrong-signer"]
"""What a stapled OCSP response says; false for none.

``honest``, or true
    What the certificate's ``revoked`` and ``reinstated`` make of the moment.
``good``, ``revoked``, ``unknown``
    That (RFC 6960 section 2.2), whatever is true.
``expired``, ``not-yet-valid``
    Good, in a response whose nextUpdate has passed, or whose thisUpdate is to come.
``wrong-signer``
    Good, signed by the certificate's own subject, whom nobody authorised (RFC 6960 section 4.2.2.2)."""

OcspSays = Literal[
    False,
    True,
    "honest",
    "good",
    "revoked",
    "unknown",
    "expired",
    "not-yet-valid",
    "wrong-signer",
    "slow",
    "try-later",
    "unreachable",
]
"""What an OCSP responder says: as a staple does; besides, honestly but late (``slow``), that it cannot say now
(``try-later``, RFC 6960 section 2.3), or nothing (``unreachable``: the connection is closed without an answer)."""

CrlSays = Literal[False, True, "honest", "expired", "not-yet-valid", "wrong-signer", "slow", "unreachable"]
"""What is found where a CRL should be: an honest one; one out of its time; one signed by the certificate's own
subject; an honest one, late; nothing."""


def said(field: bool | str) -> str | None:  # noqa: FBT001 - a field of a scenario, as it stands there
    """Return a field's word: ``honest`` for true, None for false."""
    return ("honest" if field else None) if isinstance(field, bool) else field
