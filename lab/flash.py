"""Trust anchors as files that firmware takes: PEM, DER, and a C header with both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lab.pki.names import fingerprint

__all__ = ["HEADER", "PEM", "anchor_files", "write_anchors"]

PEM, HEADER = "anchors.pem", "anchors.h"
_BYTES_A_LINE = 12


def anchor_files(anchors: Mapping[str, x509.Certificate]) -> dict[str, bytes]:
    """Return file names and contents for anchors by label (``letsencrypt-2021/isrg-root``), in the store's order."""
    files = {PEM: b"".join(anchor.public_bytes(Encoding.PEM) for anchor in anchors.values())}
    for label, anchor in anchors.items():
        files[f"{label.replace('/', '.')}.der"] = anchor.public_bytes(Encoding.DER)
    return {**files, HEADER: _header(anchors).encode("ascii")}


def write_anchors(folder: Path, anchors: Mapping[str, x509.Certificate]) -> bool:
    """Write those files; say whether other anchors were there before, so that a board has to be flashed anew."""
    folder.mkdir(parents=True, exist_ok=True)
    files = anchor_files(anchors)
    before = folder / PEM
    changed = before.exists() and before.read_bytes() != files[PEM]
    for stale in folder.glob("*.der"):
        if stale.name not in files:
            stale.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return changed


def _header(anchors: Mapping[str, x509.Certificate]) -> str:
    lines = [
        "/* Trust anchors of tlslab, for tests only: their private keys lie in a cache on a developer's machine. */",
        "#ifndef TLSLAB_ANCHORS_H",
        "#define TLSLAB_ANCHORS_H",
        "",
        "#include <stddef.h>",
        "",
    ]
    for label, anchor in anchors.items():
        der = anchor.public_bytes(Encoding.DER)
        lines += [
            f"/* {label}, SHA-256 {fingerprint(anchor)} */",
            f"static const unsigned char {_symbol(label)}[] = {{",
        ]
        for start in range(0, len(der), _BYTES_A_LINE):
            lines.append("  " + " ".join(f"0x{byte:02x}," for byte in der[start : start + _BYTES_A_LINE]))
        lines += ["};", ""]
    lines += ["static const struct {", "  const unsigned char *der;", "  size_t length;", "} TLSLAB_ANCHORS[] = {"]
    lines += [f"  {{{_symbol(label)}, sizeof {_symbol(label)}}}," for label in anchors]
    lines += [
        "};",
        "",
        "/* The same as one string, for stacks that read PEM. */",
        "static const char TLSLAB_ANCHORS_PEM[] =",
    ]
    pem = b"".join(anchor.public_bytes(Encoding.PEM) for anchor in anchors.values()).decode("ascii")
    lines += [f'  "{line}\\n"' for line in pem.splitlines()]
    lines[-1] += ";"
    return "\n".join([*lines, "", "#endif", ""])


def _symbol(label: str) -> str:
    return "TLSLAB_" + re.sub(r"[^A-Z0-9]", "_", label.upper())
