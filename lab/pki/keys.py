"""Private keys, made once and kept: one for each scenario, entity and key type."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from platformdirs import user_cache_dir

from lab.errors import InputError

__all__ = ["KeyRing", "PrivateKey", "WantedKey", "default_folder", "load_key"]

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_GENERATORS: dict[str, Callable[[], PrivateKey]] = {
    # Weak on purpose: what old stores and servers really held.
    "rsa1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505
    "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
    "rsa4096": lambda: rsa.generate_private_key(65537, 4096),
    "rsa8192": lambda: rsa.generate_private_key(65537, 8192),
    "ec256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ec384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ec521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


class WantedKey(NamedTuple):
    """A key that somebody will ask for: scenario slug, entity, key type (``rsa4096``)."""

    slug: str
    entity: str
    type: str


def default_folder() -> Path:
    """Return where this user's keys are kept: ``$TLSLAB_CACHE/keys``, or ``keys`` in the platform's cache folder."""
    chosen = os.environ.get("TLSLAB_CACHE")
    return Path(chosen or user_cache_dir("tlslab")) / "keys"


def load_key(pem: bytes) -> PrivateKey:
    """Parse a private key out of this user's own cache; raise ValueError where it is none.

    An RSA key's numbers are not checked again: that takes 50 to 300 ms a key, and these were made by this lab and
    kept in a file that nobody else can write.
    """
    key = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError(f"a {type(key).__name__} is no key of this lab")  # noqa: TRY004 - the bytes are wrong
    return key


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _is_of_type(key: PrivateKey, key_type: str) -> bool:
    if isinstance(key, rsa.RSAPrivateKey):
        return key_type == f"rsa{key.key_size}"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key_type == f"ec{key.key_size}"
    return key_type == "ed25519"


class KeyRing:
    """Keys in a folder of this user's, 0700, a file each, 0600.

    Several processes may use one folder: a file appears whole or not at all, and whoever comes second takes the
    first one's key.  A file that cannot be parsed (a full disk, a crash) is made anew; one that others can read or
    write, or that belongs to somebody else, is an InputError, because its key may be known or chosen by them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pems: dict[Path, bytes] = {}
        self._keys: dict[WantedKey, PrivateKey] = {}

    def prepare(self, wanted: Iterable[WantedKey]) -> None:
        """Make the keys that are missing, the slow ones on every core at once; raise InputError as ``key`` does."""
        missing = [want for want in dict.fromkeys(wanted) if not self._path(want).exists()]
        slow = [want for want in missing if want.type.startswith("rsa")]
        if slow:  # OpenSSL makes RSA keys without holding the interpreter's lock: threads are enough
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(self._pem, slow))
        for want in missing:
            self._pem(want)

    def key(self, slug: str, entity: str, key_type: str) -> PrivateKey:
        """Return the key of an entity, made now if there is none; raise InputError where its file is not ours alone."""
        want = WantedKey(slug, entity, key_type)
        if want not in self._keys:
            self._keys[want] = load_key(self._pem(want))
        return self._keys[want]

    def pem(self, slug: str, entity: str, key_type: str) -> bytes:
        """Return that key as PKCS #8 PEM."""
        return self._pem(WantedKey(slug, entity, key_type))

    def keep(self, want: WantedKey, label: str, make: Callable[[], bytes], check: Callable[[bytes], object]) -> bytes:
        """Return what ``make`` once made for this entity under this label: a key together with what belongs to it.

        ``check`` raises ValueError for bytes that are damaged; they are then made anew.
        """
        return self._kept(self._path(want).with_suffix(f".{label}.pem"), make, check)

    def _pem(self, want: WantedKey) -> bytes:
        def check(pem: bytes) -> None:
            if not _is_of_type(load_key(pem), want.type):
                raise ValueError(f"not a key of type {want.type}")

        return self._kept(self._path(want), lambda: _pem(_GENERATORS[want.type]()), check)

    def _path(self, want: WantedKey) -> Path:
        return self.folder / want.slug / f"{want.entity}.{want.type}.pem"

    def _kept(self, path: Path, make: Callable[[], bytes], check: Callable[[bytes], object]) -> bytes:
        if path not in self._pems:
            _own_folder(path.parent.parent)
            _own_folder(path.parent)
            self._pems[path] = _read_sound(path, check) or self._make(path, make, check)
        return self._pems[path]

    def _make(self, path: Path, make: Callable[[], bytes], check: Callable[[bytes], object]) -> bytes:
        fresh = make()
        # Under the folder's lock: of two who meet a damaged file, the second takes what the first put there.
        with _locked(path.parent):
            kept = _read_sound(path, check)
            if kept is None:
                _write(path, fresh)
            return kept or fresh


def _own_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise InputError.one(f"keys cannot be kept here: {error.strerror}", file=folder) from error
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise InputError.one(
            "others may enter the folder of private keys", file=folder, remedy=f"chmod 700 {folder}, or delete it"
        )


def _read_sound(path: Path, check: Callable[[bytes], object]) -> bytes | None:
    """Return what a file holds, or None where it is missing or damaged; raise InputError where it is not ours alone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError.one(f"this key cannot be read: {error.strerror}", file=path, remedy="delete it") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise InputError.one(
                "this private key is not its owner's alone", file=path, remedy="delete it: others may know the key"
            )
        held = file.read()
    try:
        check(held)
    except (ValueError, TypeError):
        return None
    return held


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
