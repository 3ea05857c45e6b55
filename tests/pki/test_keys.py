"""The ring: one key for each entity, kept safely, and the same one for everybody who asks."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lab.errors import InputError
from lab.pki import keys
from lab.pki.keys import KeyRing, WantedKey, default_folder, load_key

KEY = "test/a.ec256.pem"


def _accept(_: bytes) -> None:
    return None


def _ask(folder: Path, queue: multiprocessing.Queue[bytes], barrier: Callable[[], object]) -> None:
    barrier()
    queue.put(KeyRing(folder).pem("test", "a", "ec256"))


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TLSLAB_CACHE says where keys are kept; without it they are in the user's cache folder."""
    monkeypatch.setenv("TLSLAB_CACHE", str(tmp_path))
    assert default_folder() == tmp_path / "keys"
    monkeypatch.delenv("TLSLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == tmp_path / "xdg" / "tlslab" / "keys"


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_modes(tmp_path: Path, mask: int) -> None:
    """Folders are 0700 and files 0600, whatever the umask."""
    before = os.umask(mask)
    try:
        KeyRing(tmp_path / "keys").key("test", "a", "ec256")
    finally:
        os.umask(before)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys/test").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / KEY).stat().st_mode & 0o777 == 0o600
    assert [file.name for file in (tmp_path / "keys/test").iterdir()] == ["a.ec256.pem"]


def test_kept(tmp_path: Path) -> None:
    """A key is made once, and found again by another ring over the same folder."""
    first = KeyRing(tmp_path / "keys").pem("test", "a", "ec256")
    assert KeyRing(tmp_path / "keys").pem("test", "a", "ec256") == first


def test_one_key_for_one_entity(tmp_path: Path) -> None:
    """Scenario, entity and type each make another key."""
    ring = KeyRing(tmp_path / "keys")
    wanted = [("s", "a", "ec256"), ("s", "b", "ec256"), ("t", "a", "ec256"), ("s", "a", "ec384"), ("s", "a", "ed25519")]
    assert len({ring.pem(*want) for want in wanted}) == len(wanted)


@pytest.mark.parametrize(("key_type", "bits"), [("rsa2048", 2048), ("ec256", 256), ("ec384", 384)])
def test_types(ring: KeyRing, key_type: str, bits: int) -> None:
    """A key has the type and size that was asked for."""
    key = ring.key("types", "a", key_type)
    assert getattr(key, "key_size", None) == bits
    assert isinstance(key, rsa.RSAPrivateKey) == key_type.startswith("rsa")


def test_prepare_makes_the_missing_only(tmp_path: Path) -> None:
    """Preparing makes each missing key once, slow and fast ones alike, and leaves the others alone."""
    ring = KeyRing(tmp_path / "keys")
    held = ring.pem("s", "a", "ec256")
    wanted = [WantedKey("s", "a", "ec256"), WantedKey("s", "b", "ec256"), WantedKey("s", "r", "rsa2048")]
    ring.prepare([*wanted, *wanted])
    with patch.dict(keys._GENERATORS, clear=True):
        other = KeyRing(tmp_path / "keys")
        other.prepare(wanted)
        assert other.pem("s", "a", "ec256") == held
        assert [other.key(*want) for want in wanted]


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nMIGH", b"\0\xff"])
def test_damaged_file_is_made_anew(tmp_path: Path, content: bytes) -> None:
    """A file that cannot be parsed is replaced by a new key, which then stays."""
    folder = tmp_path / "keys"
    KeyRing(folder).pem("test", "a", "ec256")
    (folder / KEY).write_bytes(content)
    made = KeyRing(folder).pem("test", "a", "ec256")
    assert load_key(made)
    assert KeyRing(folder).pem("test", "a", "ec256") == made


def test_key_of_another_type_is_made_anew(tmp_path: Path) -> None:
    """A file that holds a key of another type than its name says is damaged too."""
    ring = KeyRing(tmp_path / "keys")
    (tmp_path / "keys").mkdir(mode=0o700)
    ring.pem("test", "b", "ed25519")
    (tmp_path / "keys" / KEY).write_bytes(ring.pem("test", "b", "ed25519"))
    (tmp_path / "keys" / KEY).chmod(0o600)
    assert getattr(ring.key("test", "a", "ec256"), "key_size", None) == 256


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_key_that_others_can_read(tmp_path: Path, mode: int) -> None:
    """A key that others can read or write is an error that names the file and what to do."""
    KeyRing(tmp_path / "keys").pem("test", "a", "ec256")
    (tmp_path / "keys" / KEY).chmod(mode)
    with pytest.raises(InputError, match=r"a\.ec256\.pem.*owner.*delete"):
        KeyRing(tmp_path / "keys").key("test", "a", "ec256")


def test_key_of_somebody_else(tmp_path: Path) -> None:
    """A folder that belongs to another user is refused."""
    KeyRing(tmp_path / "keys").pem("test", "a", "ec256")
    with patch("os.geteuid", return_value=os.geteuid() + 1), pytest.raises(InputError):
        KeyRing(tmp_path / "keys").key("test", "a", "ec256")


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A symbolic link in place of a key is refused."""
    KeyRing(tmp_path / "keys").pem("test", "b", "ec256")
    (tmp_path / "keys" / KEY).symlink_to("b.ec256.pem")
    with pytest.raises(InputError, match="cannot be read"):
        KeyRing(tmp_path / "keys").key("test", "a", "ec256")


@pytest.mark.parametrize("inner", [False, True])
def test_open_folder(tmp_path: Path, inner: bool) -> None:  # noqa: FBT001 - pytest hands it over
    """A folder that others may enter is refused, the ring's own or a scenario's."""
    KeyRing(tmp_path / "keys").pem("test", "a", "ec256")
    (tmp_path / "keys/test" if inner else tmp_path / "keys").chmod(0o755)
    with pytest.raises(InputError, match="chmod 700"):
        KeyRing(tmp_path / "keys").key("test", "a", "ec256")


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Where no folder can be made, the error says where."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be kept here"):
        KeyRing(tmp_path / "file").key("test", "a", "ec256")


@pytest.mark.parametrize("damaged", [False, True])
def test_race(tmp_path: Path, damaged: bool) -> None:  # noqa: FBT001 - pytest hands it over
    """Processes that want the same missing or damaged key at once all end up with one key."""
    folder = tmp_path / "keys"
    if damaged:
        KeyRing(folder).pem("test", "a", "ec256")
        (folder / KEY).write_bytes(b"damaged")
    context = multiprocessing.get_context("spawn")
    queue, barrier = context.Queue(), context.Barrier(4)
    workers = [context.Process(target=_ask, args=(folder, queue, barrier.wait)) for _ in range(4)]
    for worker in workers:
        worker.start()
    found = {queue.get(timeout=30) for _ in workers}
    for worker in workers:
        worker.join()
    queue.close()
    queue.join_thread()
    assert found == {(folder / KEY).read_bytes()}


def test_second_in_a_race_takes_the_first_ones(tmp_path: Path) -> None:
    """Whoever finishes second takes what the first one left, whatever it had made itself."""
    folder = tmp_path / "keys"
    first = KeyRing(folder)
    want = WantedKey("test", "a", "ec256")

    def slow() -> bytes:
        first.keep(want, "pair", lambda: b"first", _accept)
        return b"second"

    assert KeyRing(folder).keep(want, "pair", slow, _accept) == b"first"


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """A write that fails leaves neither the file nor a temporary one behind."""
    with patch("os.fsync", side_effect=OSError("disk full")), pytest.raises(OSError, match="disk full"):
        KeyRing(tmp_path / "keys").key("test", "a", "ec256")
    assert not list((tmp_path / "keys/test").iterdir())


def test_foreign_key_is_none_of_ours() -> None:
    """A key of a type that no scenario can ask for is refused."""
    pem = x25519.X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="X25519"):
        load_key(pem)
