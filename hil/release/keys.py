"""Ed25519 keys of release records: makes a pair, signs, checks a signature, and names a key by its fingerprint."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hil.errors import UsageError

_PUBLIC_SUFFIX = ".pub.pem"


def make_key(private: Path) -> tuple[Path, str]:
    """Write a new private key (PKCS #8 PEM, for its owner only) and the public one beside it (NAME.pub.pem).

    Returns the public key's file and fingerprint. Raises UsageError when one of both is there already.
    """
    key = Ed25519PrivateKey.generate()
    public = private.with_name(private.name.removesuffix(".pem") + _PUBLIC_SUFFIX)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    if public.exists():
        raise UsageError(f"{public}: is there already\n  fix: give the new key another name")
    _write_new(private, text, 0o600)
    _write_new(public, public_pem(key.public_key()), 0o644)
    return public, fingerprint(key.public_key())


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(data)
    except FileExistsError:
        raise UsageError(f"{path}: is there already\n  fix: give the new key another name") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}\n  fix: name a place that can") from error


def read_private_key(file: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file that only its owner may read. Raises UsageError."""
    data = _bytes(file)
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise UsageError(f"{file}: others may read this private key\n  fix: chmod 600 {file}")
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is encrypted
        raise UsageError(
            f"{file}: is no plain private key ({error})\n  fix: make one: hil release key NEW.pem"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{file}: is no Ed25519 key\n  fix: make one: hil release key NEW.pem")
    return key


def read_public_key(file: Path) -> Ed25519PublicKey:
    """The public key in a PEM file. Raises UsageError."""
    try:
        return parse_public_key(_bytes(file))
    except ValueError as error:
        fix = f"give the {_PUBLIC_SUFFIX} that `hil release key` wrote beside the private key"
        raise UsageError(f"{file}: is no Ed25519 public key ({error})\n  fix: {fix}") from error


def parse_public_key(data: bytes) -> Ed25519PublicKey:
    """The public key in a PEM text. Raises ValueError."""
    try:
        key = serialization.load_pem_public_key(data)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("it is of another kind")
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 (hex) of the 32 bytes of the public key."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()


def fits(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether `signature` was made over `data` with the private key that belongs to `key`."""
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}\n  fix: name the PEM file of a key") from error
