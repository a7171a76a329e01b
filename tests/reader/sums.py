"""Sums: the cryptography that the documents name, and the one way to say that bytes are wrong."""

import hashlib
import hmac
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV


class Damaged(Exception):
    """The bytes are not what the documents say."""


def demand(claim, what):
    if not claim:
        raise Damaged(what)


def notice(what):
    """Tells of damage that costs nothing."""
    print(f"ward_reader: {what}", file=sys.stderr)


def round_up(number, step):
    return -(-number // step) * step


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def hkdf(salt, ikm, info):
    """32 bytes: one block of HKDF-Expand."""
    return mac(mac(salt, ikm), info + b"\x01")


def open_seal(key, nonce, ciphertext, tag, associated):
    """The plaintext, or None when the seal does not open."""
    try:
        return AESGCMSIV(key).decrypt(nonce, ciphertext + tag, associated)
    except InvalidTag:
        return None
