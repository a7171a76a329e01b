"""The log: whether it is whole, and the names that are sealed in it."""

import base64
import json
import re
import struct

import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from header import unlock
from sums import demand, hkdf, open_seal, sha256

BEGIN, BEFORE_HASH, BEFORE_PREVIOUS, BEFORE_SIG = b'{"entry":', b',"hash":"', b'","prevHash":', b',"sig":"'
SECTOR, LONGEST, MOST_UNSIGNED = 512, 4 << 20, 256
BY_SEGMENT = ("checkpoint", "segment.end")
BY_NOBODY = ("file.create", "file.open", "file.read", "file.remove", "file.rename", "file.write", "handoff.asked",
             "handoff.ended", "helper.failed", "lease.begun", "lease.ended", "lease.used", "refused", "request.expired", "request.made", "ship.cursor")


class Tree:
    """A Merkle tree (RFC 6962), of which the roots of its full parts are kept."""

    def __init__(self):
        self.size, self.parts = 0, []

    def add(self, leaf):
        node, size = sha256(b"\0", leaf), self.size
        while size & 1:
            node, size = sha256(b"\1", self.parts.pop(), node), size >> 1
        self.parts.append(node)
        self.size += 1

    def root(self):
        node = self.parts[-1] if self.parts else sha256(b"")
        for left in self.parts[-2::-1]:
            node = sha256(b"\1", left, node)
        return node


class Keys:
    """Tree, keys and signatures: whether an entry may stand where it does."""

    def __init__(self):
        self.is_begun = True
        self.tree, self.identity, self.key, self.end, self.unsigned, self.synced = Tree(), None, None, None, 0, 0
        self.successor, self.standby = None, None

    def take(self, entry, text, digest, sig, number):
        kind = entry["eventType"]
        states = {"root": self.tree.root().hex(), "size": str(self.tree.size), "segment": str(number)}
        fits = all(entry.get(field) == it for field, it in states.items()) or kind not in (*BY_SEGMENT, "segment.start")
        if kind == "segment.start":
            fits = fits and entry["frontier"] == [it.hex() for it in self.tree.parts]
            fits = fits and (self.identity is None or entry["identity"] in (self.identity, self.successor))
            signers = (entry["identity"], self.standby)
            if self.is_begun:
                self.successor = None if self.successor == entry["identity"] else self.successor
                fits = fits and entry.get("successor") == self.successor
            self.successor, self.standby = entry.get("successor"), entry.get("standby")
            unclosed = self.tree.size > 0 and (self.end is None or self.end.get("next") not in (None, entry["key"]))
            fits = fits and (not self.is_begun or entry.get("unclosed", False) == unclosed)
            self.is_begun = True
            self.identity, self.key, self.end = entry["identity"], entry["key"], None
        elif self.end is not None:
            return False
        elif kind in BY_SEGMENT:
            fits = fits and self.synced <= int(entry["synced"]) <= self.tree.size
            self.synced = int(entry["synced"])
            self.end = entry if kind == "segment.end" else None
        self.unsigned = 0 if kind in (*BY_SEGMENT, "segment.start") else self.unsigned + 1
        if kind == "signer.rotation.requested":
            signers, self.successor = (self.identity,), entry["signer"]["key"]
        elif kind == "signer.rotation.applied":
            key = entry["signer"]["key"]
            fits, signers = fits and key in (self.identity, self.successor), (key,)
            self.identity, self.successor = key, None if self.successor == key else self.successor
        elif kind != "segment.start":
            signers = (self.identity, self.successor, self.standby)
        signers = (None,) if kind in BY_NOBODY else (self.key,) if kind in BY_SEGMENT else signers
        self.tree.add(text)
        is_by_one = any(is_signed(it, sig, digest) for it in signers if it is not None or kind in BY_NOBODY)
        return fits and self.unsigned <= MOST_UNSIGNED and is_by_one


def is_signed(signer, sig, digest):
    if signer is None or sig is None:
        return signer == sig
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(signer, validate=True)).verify(base64.b64decode(sig), digest)
    except (InvalidSignature, ValueError):
        return False
    return base64.b64encode(base64.b64decode(sig)) == sig


def entry_of(line, previous):
    """Entry, hash, bytes of the entry and signature of a line without its newline; None if it is not a good one."""
    link = b"null" if previous is None else b'"' + previous.hex().encode() + b'"'
    sig = line[-90:-2] if line[-98:-90] == BEFORE_SIG and line.endswith(b'"}') else None
    end = BEFORE_PREVIOUS + link + (b"" if sig is None else BEFORE_SIG + sig + b'"') + b"}"
    head, text = line[: -len(end)], line[len(BEGIN) : -len(end) - 64 - len(BEFORE_HASH)]
    digest = sha256(text, previous or b"")
    if line != BEGIN + text + BEFORE_HASH + digest.hex().encode() + end or len(head) < 82:
        return None
    try:
        entry = json.loads(text)
    except ValueError:
        return None
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return (entry, digest, text, sig) if canonical.encode() == text else None


def is_torn(tail, at):
    """Whether bytes that begin at `at` of the open segment are what a power cut leaves."""
    used = tail.rstrip(b"\0")
    line, zero, _ = used.partition(b"\0")
    if b"\n" in line:
        return False
    if not zero:
        return True
    begin = at + len(line)
    end = at + len(used) - len(used[len(line) :].lstrip(b"\0"))
    is_sector = end % SECTOR == 0 and (not line or begin % SECTOR == 0)
    return is_sector and len(used) <= LONGEST


def was_synced(tail, keys, number):
    """Whether a checkpoint in the tail says that the entry of this number had been synced."""
    for line in tail.split(b"\n"):
        previous = re.search(rb'"prevHash":"([0-9a-f]{64})"', line)
        found = previous and entry_of(line, bytes.fromhex(previous[1].decode()))
        if found and found[0]["eventType"] == "checkpoint" and is_signed(keys.key, found[3], found[1]):
            if int(found[0]["synced"]) >= number:
                return True
    return False


def read_log(folder):
    """The verdict (whole, torn, broken, missing) and the entries with their hashes."""
    numbers = sorted({int(it.name[:10]) for it in folder.iterdir() if re.fullmatch(r"\d{10}\.jsonl(\.zst)?", it.name)})
    packed = {}
    entries, previous, log, keys, gone = [], None, None, Keys(), 0
    for place, number in enumerate(numbers, numbers[0] if numbers else 1):
        if number != place:
            return "missing", entries
        lines, at, is_first = folder / f"{number:010}.jsonl", 0, True
        if lines.exists():
            data = lines.read_bytes()
        else:
            packed[number] = (folder / f"{number:010}.jsonl.zst").read_bytes()
            try:
                data = zstandard.ZstdDecompressor().stream_reader(packed[number]).read()
            except zstandard.ZstdError:
                return "broken", entries
        if number == numbers[0] > 1:
            # What was before it is believed, when the log says that it was deleted.
            first = json.loads(data[: data.find(b"\n")])["entry"]
            gone, previous = int(first["size"]), bytes.fromhex(first["previous"])
            keys.tree.size, keys.tree.parts = gone, [bytes.fromhex(it) for it in first["frontier"]]
            keys.is_begun = False
            keys.standby = first.get("standby")
        while (end := data.find(b"\n", at)) >= 0 and (found := entry_of(data[at:end], previous)):
            entry, digest, text, sig = found
            log = log or entry.get("log")
            start = {"eventType": "segment.start", "log": log, "segment": str(number)}
            if previous is not None:
                start["previous"] = previous.hex()
            fits = entry["seq"] == str(gone + len(entries) + 1) and entry["version"] == 1
            fits = fits and (entry["eventType"] == "segment.start") == is_first
            fits = fits and (not is_first or all(entry.get(key) == it for key, it in start.items()))
            fits = fits and (not entries or entries[-1][0]["ts"] < entry["ts"]) and len(entry["ts"]) == 27
            if not fits or not keys.take(entry, text, digest, sig, number):
                return "broken", entries
            entries.append((entry, digest))
            previous, at, is_first = digest, end + 1, False
        tail = data[at:]
        if tail.strip(b"\0") or (number != numbers[-1] and tail):
            is_open = number == numbers[-1]
            is_torn_off = is_open and is_torn(tail, at) and not was_synced(tail, keys, gone + len(entries) + 1)
            return "torn" if is_torn_off else "broken", entries
    said = {it["segment"]: it["compressed"] for it, _ in entries if it["eventType"] == "segment.compressed"}
    retired = max([int(it.get("retired", 0)) for it, _ in entries], default=0)
    if numbers and retired + 1 < numbers[0]:
        return "missing", entries
    is_whole = all(said.get(str(number)) == sha256(it).hex() for number, it in packed.items())
    return "whole" if is_whole else "broken", entries


def verify(folder):
    verdict, entries = read_log(folder)
    last = int(entries[-1][0]["seq"]) if entries else 0
    return {"verdict": verdict, "entries": last, "hash": entries[-1][1].hex() if entries else None}


def names(folder, vault, name, kind, secret):
    """What is sealed in each entry of a vault, by the entry's number."""
    verdict, entries = read_log(folder)
    demand(verdict in ("whole", "torn"), f"the log is {verdict}")
    _, _, names_keys = unlock(vault, kind, secret)
    log, purpose = entries[0][0]["log"].encode(), b"wardfs log names v1\0" + name.encode()
    keys = [hkdf(log, names_key, purpose) for names_key in names_keys]
    opened = {}
    for entry, _ in entries:
        if entry.get("vault") == name and "sealed" in entry:
            number = struct.pack(">Q", int(entry["seq"]))
            sealed = base64.b64decode(entry["sealed"], validate=True)
            seal = bytes(4) + number, sealed[:-16], sealed[-16:], name.encode() + number
            texts = (open_seal(key, *seal) for key in keys)
            text = next((it for it in texts if it is not None), None)
            demand(text is not None and len(text) % 128 == 0, f"the names of entry {entry['seq']} do not open")
            opened[entry["seq"]] = json.loads(text)
    return opened
