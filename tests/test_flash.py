"""Anchors as files for firmware: the same certificates in PEM, DER and C."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lab.flash import HEADER, PEM, anchor_files, write_anchors


@pytest.fixture(scope="module")
def anchors():
    names = ("first-story/root", "second-story/root")
    return {name: x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes()) for name in names}


def test_every_form_holds_the_same(anchors):
    """PEM keeps the store's order; each DER file is one anchor under its label."""
    files = anchor_files(anchors)
    assert x509.load_pem_x509_certificates(files[PEM]) == list(anchors.values())
    for label, anchor in anchors.items():
        assert files[f"{label.replace('/', '.')}.der"] == anchor.public_bytes(Encoding.DER)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_header_compiles_to_the_same_bytes(anchors, tmp_path):
    """A C program that includes the header holds the DER of every anchor, and all of the PEM."""
    write_anchors(tmp_path, anchors)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "anchors.h"\n'
        "int main(void) {\n"
        "  for (size_t i = 0; i < sizeof TLSLAB_ANCHORS / sizeof *TLSLAB_ANCHORS; i++)\n"
        "    fwrite(TLSLAB_ANCHORS[i].der, 1, TLSLAB_ANCHORS[i].length, stdout);\n"
        "  fputs(TLSLAB_ANCHORS_PEM, stdout);\n"
        "  return 0;\n"
        "}\n"
    )
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "main.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout
    ders = b"".join(anchor.public_bytes(Encoding.DER) for anchor in anchors.values())
    assert said == ders + (tmp_path / PEM).read_bytes()


def test_a_change_is_told(anchors, tmp_path):
    """Writing the same again is no change; other anchors are one, and leave no file of the old ones."""
    assert not write_anchors(tmp_path, anchors)
    assert not write_anchors(tmp_path, anchors)
    fewer = dict(list(anchors.items())[:1])
    assert write_anchors(tmp_path, fewer)
    assert sorted(path.name for path in tmp_path.iterdir()) == [HEADER, PEM, "first-story.root.der"]
