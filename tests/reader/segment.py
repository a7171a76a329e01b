"""A segment: its header and frames, and which batches of changes of it count."""

import struct

from change import changes_of
from sums import demand, hkdf, mac, notice, open_seal, round_up, sha256

METADATA, DATA, VOID = 1, 2, 3
SEGMENT_HEADER, FRAME_HEADER, TAG, UNIT, PAGE = 192, 48, 16, 64, 4096


class Segment:
    """A segment with a good header. Position, sequence and chain value move with reading."""

    def __init__(self, path, header, keys):
        self.data, self.number, self.kind = path.read_bytes(), int(path.name), header.kind
        head = self.data[:SEGMENT_HEADER]
        demand(len(head) == SEGMENT_HEADER and head[:8] == b"wardseg\0", f"{path}: no segment")
        form, key_number, vault_id, own, self.id = struct.unpack_from("<II16sQ16s", head, 8)
        before, position, sequence, chain, self.branch = struct.unpack_from("<QQQ32sQ", head, 56)
        demand(form == 1 and key_number in keys, f"{path}: another format or key")
        vault_key = keys[key_number]
        demand(vault_id == header.vault_id and own == self.number, f"{path}: another vault or number")
        demand(before == self.number - 1 and head[120:160] == bytes(40), f"{path}: a bad header")
        key = hkdf(vault_id, vault_key, b"wardfs segment mac v1" + self.id)
        demand(mac(key, head[:160]) == head[160:], f"{path}: the MAC is wrong")
        self.key = hkdf(vault_id, vault_key, b"wardfs segment seal v1" + self.id)
        self.end_of_the_one_before = position, sequence, chain

    def beginning(self):
        return SEGMENT_HEADER, 0, sha256(self.data[:SEGMENT_HEADER])

    def begin_at(self, position, sequence, chain):
        self.at, self.sequence, self.chain = position, sequence, chain

    def frame_at(self, at):
        """The frame there as (kind, sequence, size, plaintext of metadata), or None if not whole."""
        head = self.data[at : at + FRAME_HEADER]
        if len(head) < FRAME_HEADER or head[0] not in (METADATA, DATA, VOID) or head[2:4] != bytes(2):
            return None
        kind, exponent = head[:2]
        length, sequence = struct.unpack_from("<IQ", head, 4)
        if length == 0 or length % UNIT or (kind != METADATA and head[16:] != bytes(32)):
            return None
        if not (12 <= exponent <= 20 if kind == DATA else exponent == 0):
            return None
        if kind == DATA:
            size = first_chunk(at, exponent, length) - at + length
            return (kind, sequence, size, b"") if at + size <= len(self.data) else None
        size = UNIT + length if kind == METADATA else length
        ciphertext = self.data[at + UNIT : at + size] if kind == METADATA else b""
        tag = self.data[at + FRAME_HEADER : at + UNIT]
        plaintext = open_seal(self.key, nonce(kind, sequence, 0), ciphertext, tag, head)
        if plaintext is None or at + size > len(self.data):
            return None
        return kind, sequence, size, plaintext

    def step(self):
        """Goes on behind the whole frame that follows here, and gives it; None if there is none."""
        frame = self.frame_at(self.at)
        if frame is None or frame[1] != self.sequence + 1:
            return None
        if frame[0] == METADATA and self.data[self.at + 16 : self.at + FRAME_HEADER] != self.chain:
            return None
        return self.take(frame)

    def take(self, frame):
        if frame[0] == METADATA:
            self.chain = sha256(self.data[self.at : self.at + UNIT])
        self.at, self.sequence = self.at + frame[2], frame[1]
        return frame

    def has_end(self, position, sequence, chain):
        """Whether a whole metadata frame ends there with these, or the segment begins so."""
        if (position, sequence, chain) == self.beginning():
            return True
        for at in range(position - UNIT, SEGMENT_HEADER - 1, -UNIT):
            if self.data[at] == METADATA and sha256(self.data[at : at + UNIT]) == chain:
                frame = self.frame_at(at)
                return frame is not None and (at + frame[2], frame[1]) == (position, sequence)
        return False

    def value(self, at, sequence, exponent, length, begin=0, end=None):
        """The plaintext of the chunks of a data frame in which these bytes of its content lie (all of them),
        or None. No byte of its header is taken from disk."""
        head = struct.pack("<BBHIQ32x", DATA, exponent, 0, length, sequence)
        first, size, plaintext = first_chunk(at, exponent, length), 1 << exponent, []
        count = -(-length // size)
        if first + length > len(self.data) or any(self.data[at + FRAME_HEADER + TAG * count : first]):
            return None
        for chunk in range(begin // size, count if end is None else -(-end // size)):
            tag_at = at + FRAME_HEADER + TAG * chunk
            tag = self.data[tag_at : tag_at + TAG]
            ciphertext = self.data[first + chunk * size : first + min((chunk + 1) * size, length)]
            opened = open_seal(self.key, nonce(DATA, sequence, chunk), ciphertext, tag, head)
            if opened is None:
                return None
            plaintext.append(opened)
        return b"".join(plaintext)

    def has_value_at(self, at):
        exponent, (length, sequence) = self.data[at + 1], struct.unpack_from("<IQ", self.data, at + 4)
        return self.value(at, sequence, exponent, length) is not None


def nonce(kind, sequence, chunk):
    return bytes([kind]) + struct.pack("<Q", sequence)[:7] + struct.pack("<I", chunk)


def first_chunk(at, exponent, length):
    chunk = 1 << exponent
    behind_tags = at + FRAME_HEADER + TAG * -(-length // chunk)
    return round_up(behind_tags, PAGE if length >= chunk else UNIT)


def batch(segment, frame):
    """The sync mark and the changes of a metadata frame."""
    mark, count = struct.unpack_from("<QI", frame[3])
    changes, rest = frame[3][12 : 12 + count], frame[3][12 + count :]
    demand(mark >= SEGMENT_HEADER and len(changes) == count and not any(rest), "a bad batch")
    return mark, changes_of(changes, segment.kind)


def read_closed(segment, position, sequence, chain):
    """The changes of a segment that another one follows, up to where that one says."""
    changes = []
    while segment.at < position:
        at, frame = segment.at, segment.step()
        demand(frame is not None, f"segment {segment.number}: no whole frame at {at}")
        if frame[0] == METADATA:
            changes += batch(segment, frame)[1]
    end = segment.at, segment.sequence, segment.chain
    demand(end == (position, sequence, chain), f"segment {segment.number} ends elsewhere than the next one says")
    return changes


def read_last(segment):
    """The changes of the last segment: of the synced log, and of the tail what is accepted."""
    begin, frames, faults, used = segment.at, [], [], len(segment.data.rstrip(b"\0"))
    while segment.at < used:
        at, frame = segment.at, segment.step()
        if frame is None:
            faults.append(at)
            later = range(at + UNIT, len(segment.data), UNIT)
            segment.at = next((it for it in later if is_metadata(segment, it)), None)
            if segment.at is None:
                break
            at, frame = segment.at, segment.take(segment.frame_at(segment.at))
        frames.append((at, frame, batch(segment, frame) if frame[0] == METADATA else None))
    marks = [found[0] for _, _, found in frames if found]
    synced, end = max([begin, *marks]), min(faults, default=len(segment.data))
    demand(end >= synced, f"segment {segment.number}: damage at {end}, before {synced}")
    destroyed = set()
    for at, _, found in frames:
        for change, of in found[1] if found and synced <= at < end else []:
            if change in ("shred", "discard"):
                destroyed |= {it for number, it, _ in of["regions"] if number == segment.number}
    for at, frame, _ in frames:
        if synced <= at < end and frame[0] == DATA and at not in destroyed and not segment.has_value_at(at):
            end = at
    if end < len(segment.data):
        notice(f"segment {segment.number}: torn at {end}")
    return [change for at, _, found in frames if found and at < end for change in found[1]]


def is_metadata(segment, at):
    return segment.data[at] == METADATA and segment.frame_at(at) is not None
