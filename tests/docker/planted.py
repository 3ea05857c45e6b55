"""A runtime whose images have a root planted in every place where a stack looks for its system's store."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lab.clients.container import ContainerRuntime
from lab.clients.runtime import Unready

REPOSITORY = "tlslab-planted"

# What Debian, other systems, OpenSSL's builds (a wheel's: /usr/local) and Go look at: crypto/x509/root_linux.go.
BUNDLES = (
    "etc/ssl/certs/ca-certificates.crt",
    "etc/ssl/cert.pem",
    "etc/ssl/ca-bundle.pem",
    "etc/pki/tls/cacert.pem",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "usr/lib/ssl/cert.pem",
    "usr/local/cert.pem",
    "usr/local/ssl/cert.pem",
    "usr/local/share/ca-certificates/planted.crt",
    "usr/share/ca-certificates/planted.crt",
    "usr/share/ca-certificates/trust-source/anchors/planted.pem",
    "usr/share/pki/trust/anchors/planted.pem",
    "etc/ca-certificates/trust-source/anchors/planted.pem",
)
HASHED = ("etc/ssl/certs", "usr/local/certs", "usr/local/ssl/certs", "system/etc/security/cacerts")
JAVA = ("java/lib/security/cacerts", "java/lib/security/jssecacerts", "etc/ssl/certs/java/cacerts")
NSS = ("etc/pki/nssdb", "nonexistent/.pki/nssdb")  # the system's, and that of the user without a home
ENVIRONMENT = {
    "SSL_CERT_FILE": "/etc/ssl/cert.pem",
    "SSL_CERT_DIR": "/etc/ssl/certs",
    "CURL_CA_BUNDLE": "/etc/ssl/cert.pem",
    "GIT_SSL_CAINFO": "/etc/ssl/cert.pem",
    "NODE_EXTRA_CA_CERTS": "/etc/ssl/cert.pem",
    "NODE_OPTIONS": "--use-openssl-ca",
}


def plant(folder: Path, root: x509.Certificate) -> None:
    """Write the files that hold the root into ``folder``, by their paths in an image."""
    pem, der = root.public_bytes(Encoding.PEM), root.public_bytes(Encoding.DER)
    links = [f"{subject_hash(pem, option)}.0" for option in ("-subject_hash", "-subject_hash_old")]
    files = dict.fromkeys(BUNDLES, pem)
    files |= dict.fromkeys((f"{place}/{link}" for place in HASHED for link in links), pem)
    files |= dict.fromkeys(JAVA, java_store(der))
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def subject_hash(pem: bytes, option: str) -> str:
    """Return the name under which OpenSSL looks for a root in a folder: since 1.0.0, or ``_old``, before."""
    command = ["openssl", "x509", "-noout", option]
    return subprocess.run(command, input=pem, capture_output=True, check=True).stdout.decode().strip()


def java_store(der: bytes) -> bytes:
    """Return a Java key store (JKS, version 2) that holds one trusted certificate, with the usual password."""

    def text(value: str) -> bytes:
        return struct.pack(">H", len(value)) + value.encode()

    entry = struct.pack(">I", 2) + text("planted") + struct.pack(">Q", 0) + text("X.509")
    store = struct.pack(">III", 0xFEEDFEED, 2, 1) + entry + struct.pack(">I", len(der)) + der
    return store + hashlib.sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + store).digest()


class PlantedRuntime(ContainerRuntime):
    """Containers as always, but of images in which ``root`` is the system's store."""

    def __init__(self, reactor: object, cache: Path, root: x509.Certificate) -> None:
        super().__init__(reactor, cache)
        self._root = root
        self.planted: set[str] = set()

    @property
    def network(self) -> str:
        """The name of the private network."""
        return str(self._network.name)

    def image_of(self, name: str) -> str:
        """Return the image of a column."""
        return self._images[name]

    def _image(self, client):
        base = super()._image(client)
        if isinstance(base, Unready):
            return base
        tag = f"{REPOSITORY}/{base.removeprefix('tlslab/')}"
        lines = [f"FROM {base}", "COPY planted /", *(f"ENV {name}={value}" for name, value in ENVIRONMENT.items())]
        if client.home.manifest.stack == "chromium":
            # NSS keeps its roots in a database, which only its own tool writes.
            lines += ["USER root", *(f"RUN {database(place)}" for place in NSS), "USER 65534:65534"]
        with tempfile.TemporaryDirectory() as context:
            plant(Path(context, "planted"), self._root)
            Path(context, "Dockerfile").write_text("\n".join(lines) + "\n")
            self._engine.images.build(path=context, tag=tag, rm=True, forcerm=True)
        self.planted.add(tag)
        return tag

    async def close(self) -> None:
        """Stay open after a run, for the programs that are then left to themselves."""

    async def finish(self) -> None:
        """Do what ``close`` does, and remove the images."""
        await super().close()

    def _clear(self) -> None:
        for tag in self.planted:
            self._engine.images.remove(tag, force=True)
        super()._clear()


def database(place: str) -> str:
    """Return the command that makes an NSS database with the root as a trusted authority."""
    tool = f"certutil -d sql:/{place}"
    add = f"{tool} -A -t C,, -n planted -i /etc/ssl/cert.pem"
    return f"mkdir -p /{place} && {tool} -N --empty-password && {add} && chmod -R a+rX /{place}"
