"""The header of a vault and its slots: from a credential to the keys of the vault."""

import hmac
import struct

import argon2.low_level
from change import SECRETS, WORKSPACE
from sums import Damaged, demand, hkdf, mac, notice, open_seal, sha256

PASSPHRASE, KEY_FILE, RECOVERY = 1, 2, 3
WHOLE, NAMES = 1, 2
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
        self.kind, slots, label, retired, pinned = struct.unpack_from("<BBBBB", data, 40)
        demand(self.kind in (SECRETS, WORKSPACE) and pinned in (0, 1), "no header")
        middle = 48 + label + 128 * slots
        end = middle + 104 * retired
        demand(data[45:48] == bytes(3) and len(data) == end + 32, "no header")
        self.slots = [data[at : at + 128] for at in range(48 + label, middle, 128)]
        self.retired = [data[at : at + 104] for at in range(middle, end, 104)]
        numbers = {struct.unpack_from("<I", slot, 28) for slot in self.slots}
        demand(len(numbers) <= 1, "slots wrap different keys")
        self.number = min(numbers, default=(0,))[0]
        self.body, self.mac = data[:end], data[end:]

    def is_under(self, vault_key):
        key = hkdf(self.vault_id, vault_key, b"wardfs header mac v1")
        return hmac.compare_digest(mac(key, self.body), self.mac)

    def succeeds(self, number, vault_key):
        """Whether it says of this key, as only who has it can, that there is a later one."""
        key = hkdf(self.vault_id, vault_key, b"wardfs successor mac v1")
        mark = mac(key, struct.pack("<I", number))
        return any(it[:4] == struct.pack("<I", number) and it[72:] == mark for it in self.retired)

    def keys(self, newest):
        """Every key by number, and the keys of the names in the log, the newest first."""
        names_key = lambda key: hkdf(self.vault_id, key, b"wardfs audit names v1")
        keys, names = {self.number: newest}, [names_key(newest)]
        wrapping = hkdf(self.vault_id, newest, b"wardfs retired keys v1")
        for it in self.retired:
            number, content = struct.unpack_from("<IB", it)
            demand(content in (WHOLE, NAMES) and it[5:8] == bytes(3) and it[20:24] == bytes(4), "no retired key")
            opened = open_seal(wrapping, it[8:20], it[24:56], it[56:72], self.vault_id + it[:8])
            demand(opened is not None, f"the retired key {number} does not open")
            if content == WHOLE:
                keys[number] = opened
            names.append(names_key(opened) if content == WHOLE else opened)
        return keys, names

    def key(self, kind, secret):
        """The newest vault key, if the credential opens it here, or None."""
        for slot in self.slots:
            if slot[4] == kind:
                associated = self.vault_id + slot[:64]
                key = open_seal(slot_key(slot, secret), slot[64:76], slot[80:112], slot[112:], associated)
                if key is not None:
                    return key
        return None


def slot_key(slot, secret):
    memory, passes, lanes = struct.unpack_from("<III", slot, 16)
    demand(slot[5:8] == bytes(3) and slot[76:80] == bytes(4), "no slot")
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
    """The header that counts, its keys by number, and the keys of names."""
    headers, fault = [], None
    for name in ("header", "header.2"):
        try:
            headers.append(Header((vault / name).read_bytes()))
        except (Damaged, OSError) as error:
            fault = error
            notice(f"{name}: {error}")
    demand(headers, str(fault))
    headers.sort(key=lambda header: -header.generation)
    opened = [(header.number, key) for header in headers if (key := header.key(kind, secret)) is not None]
    for place, header in enumerate(headers):
        if not any(header.is_under(key) for _, key in opened):
            continue
        key = header.key(kind, secret)
        # A later copy that is whole but lacks the slot still counts: the slot was removed.
        is_latest = not any(it.succeeds(*key) for it in headers[:place] for key in opened)
        demand(key is not None and is_latest, "the credential opens no slot")
        keys, names = header.keys(key)
        if not all(any(it.is_under(key) for key in keys.values()) for it in headers):
            notice("a copy of the header has a wrong MAC")
        return header, keys, names
    raise Damaged("the credential opens no slot, or the header is damaged")
