"""The log: whether it is whole, and the names that are sealed in it."""

import base64
import json
import struct

from header import unlock
from sums import demand, hkdf, open_seal, sha256

BEGIN, BEFORE_HASH, BEFORE_PREVIOUS = b'{"entry":', b',"hash":"', b'","prevHash":'
SECTOR, LONGEST = 512, 4 << 20


def entry_of(line, previous):
    """The entry of a line without its newline, and its hash; None if it is not a good line."""
    link = b"null" if previous is None else b'"' + previous.hex().encode() + b'"'
    end = BEFORE_PREVIOUS + link + b"}"
    head, text = line[: -len(end)], line[len(BEGIN) : -len(end) - 64 - len(BEFORE_HASH)]
    digest = sha256(text, previous or b"")
    if line != BEGIN + text + BEFORE_HASH + digest.hex().encode() + end or len(head) < 82:
        return None
    try:
        entry = json.loads(text)
    except ValueError:
        return None
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return (entry, digest) if canonical.encode() == text else None


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


def read_log(folder):
    """The verdict (whole, torn, broken, missing) and the entries with their hashes."""
    numbers = sorted(int(it.stem) for it in folder.glob("*.jsonl") if len(it.stem) == 10)
    entries, previous, log = [], None, None
    for place, number in enumerate(numbers, 1):
        if number != place:
            return "missing", entries
        data, at, is_first = (folder / f"{number:010}.jsonl").read_bytes(), 0, True
        while (end := data.find(b"\n", at)) >= 0 and (found := entry_of(data[at:end], previous)):
            entry, digest = found
            log = log or entry.get("log")
            start = {"eventType": "segment.start", "log": log, "segment": str(number)}
            if previous is not None:
                start["previous"] = previous.hex()
            fits = entry["seq"] == str(len(entries) + 1) and entry["version"] == 1
            fits = fits and (entry["eventType"] == "segment.start") == is_first
            fits = fits and (not is_first or all(entry.get(key) == it for key, it in start.items()))
            fits = fits and (not entries or entries[-1][0]["ts"] < entry["ts"]) and len(entry["ts"]) == 27
            if not fits:
                return "broken", entries
            entries.append(found)
            previous, at, is_first = digest, end + 1, False
        tail = data[at:]
        if tail.strip(b"\0") or (number != numbers[-1] and tail):
            is_open = number == numbers[-1]
            return "torn" if is_open and is_torn(tail, at) else "broken", entries
    return "whole", entries


def verify(folder):
    verdict, entries = read_log(folder)
    return {"verdict": verdict, "entries": len(entries), "hash": entries[-1][1].hex() if entries else None}


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
