"""The header of a vault and its slots: from a credential to the vault key."""

import hmac
import struct

import argon2.low_level
from sums import Damaged, demand, hkdf, mac, notice, open_seal, sha256

PASSPHRASE, KEY_FILE, RECOVERY = 1, 2, 3
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Header:
    """One copy of the header, its MAC not yet checked."""

    def __init__(self, data):
        demand(len(data) >= 80 and data[:8] == b"wardhdr\0", "no header")
        (form,) = struct.unpack_from("<I", data, 8)
        demand(form <= 1, f"the header has format {form}, and this reader knows 1")
        demand(form == 1, "no header")
        self.vault_id = data[16:32]
        (self.generation,) = struct.unpack_from("<Q", data, 32)
        kind, slots, label, retired, pinned = struct.unpack_from("<BBBBB", data, 40)
        demand(kind in (1, 2) and retired == 0 and pinned in (0, 1), "no header")
        end = 48 + label + 128 * slots
        demand(data[45:48] == bytes(3) and len(data) == end + 32, "no header")
        self.slots = [data[at : at + 128] for at in range(48 + label, end, 128)]
        self.body, self.mac = data[:end], data[end:]

    def is_under(self, vault_key):
        key = hkdf(self.vault_id, vault_key, b"wardfs header mac v1")
        return hmac.compare_digest(mac(key, self.body), self.mac)

    def key(self, kind, secret):
        """The vault key that the credential opens here, or None."""
        for slot in self.slots:
            if slot[4] == kind:
                associated = self.vault_id + slot[:64]
                key = open_seal(slot_key(slot, secret), slot[64:76], slot[80:112], slot[112:], associated)
                if key is not None:
                    return key
        return None


def slot_key(slot, secret):
    memory, passes, lanes, wrapped = struct.unpack_from("<IIII", slot, 16)
    demand(slot[5:8] == bytes(3) and slot[76:80] == bytes(4) and wrapped == 0, "no slot")
    salt = slot[32:64]
    if slot[4] == PASSPHRASE:
        demand(memory <= 4 << 20 and passes <= 64 and lanes <= 64, "the slot asks for too much")
        kind = argon2.low_level.Type.ID
        return argon2.low_level.hash_secret_raw(secret, salt, passes, memory, lanes, 32, kind, 0x13)
    demand((memory, passes, lanes) == (0, 0, 0) and len(secret) == 32, "no key of 32 bytes")
    info = {KEY_FILE: b"wardfs keyfile slot v1", RECOVERY: b"wardfs recovery slot v1"}[slot[4]]
    return hkdf(salt, secret, info)


def recovery_bytes(code):
    symbols = code.strip().replace("-", "")
    demand(len(symbols) == 56 and set(symbols) <= set(CROCKFORD), "no recovery code")
    number = 0
    for symbol in symbols:
        number = number << 5 | CROCKFORD.index(symbol)
    data = number.to_bytes(35, "big")
    demand(sha256(data[:32])[:3] == data[32:], "the recovery code has a typing error")
    return data[:32]


def unlock(vault, kind, secret):
    """The header that counts, and the vault key."""
    headers, fault = [], None
    for name in ("header", "header.2"):
        try:
            headers.append(Header((vault / name).read_bytes()))
        except (Damaged, OSError) as error:
            fault = error
            notice(f"{name}: {error}")
    demand(headers, str(fault))
    headers.sort(key=lambda header: -header.generation)
    keys = [key for header in headers if (key := header.key(kind, secret)) is not None]
    for header in headers:
        if keys and not any(header.is_under(key) for key in keys):
            notice("a copy of the header has a wrong MAC")
    for header in headers:
        if any(header.is_under(key) for key in keys):
            # A copy that is whole but lacks the slot still counts: the slot was removed.
            demand(header.key(kind, secret) in keys, "the credential opens no slot")
            return header, header.key(kind, secret)
    raise Damaged("the credential opens no slot, or the header is damaged")
