"""The client manifest: columns by name, and what a manifest must have."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lab.model.client import ClientManifest, Clock

MANIFEST: dict[str, Any] = {
    "schema": 1,
    "stack": "openssl",
    "title": "OpenSSL",
    "summary": "A library.",
    "clock": "native",
    "columns": [
        {"name": "openssl-1.0.2q", "version": "1.0.2q", "reports": "OpenSSL 1.0.2q"},
        {"name": "openssl-1.0.2q+trusted-first", "version": "1.0.2q", "reports": "OpenSSL 1.0.2q"},
    ],
}


def test_column_by_name() -> None:
    """A column is found by its name, and a name that no column has raises KeyError."""
    manifest = ClientManifest.model_validate(MANIFEST)
    assert manifest.clock is Clock.NATIVE
    assert manifest.column("openssl-1.0.2q+trusted-first") == manifest.columns[1]
    with pytest.raises(KeyError):
        manifest.column("openssl")


@pytest.mark.parametrize(
    "change",
    [
        {"columns": []},
        {"schema": 2},
        {"clock": "sundial"},
        {"stack": "Open SSL"},
        {"columns": [{**MANIFEST["columns"][0], "name": "OpenSSL 1.0.2q"}]},
        {"columns": [{**MANIFEST["columns"][0], "cannot": ["anything"]}]},
    ],
)
def test_no_manifest(change: dict[str, Any]) -> None:
    """A manifest has columns with proper names, a known clock, and this version of the format."""
    with pytest.raises(ValidationError):
        ClientManifest.model_validate({**MANIFEST, **change})
