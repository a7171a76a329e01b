"""A vault: from its folder and a credential to its files."""

import hashlib

import image as images
from header import unlock
from segment import Segment, read_closed, read_last
from sums import demand
from tree import Tree

SHOWN = 10


def read_vault(vault, kind, secret):
    """The tree of a vault, and its segments by number."""
    header, keys, _ = unlock(vault, kind, secret)
    paths = [it for it in (vault / "segments").iterdir() if len(it.name) == 10 and it.name.isdecimal()]
    segments = {it.number: it for it in (Segment(path, header, keys) for path in sorted(paths))}
    demand(segments, "there is no segment")
    image, last = images.newest(vault, header, keys, segments), max(segments)
    begin, retired = (image.segment, image.retired) if image else (1, set())
    missing = set(range(1, last + 1)) - segments.keys()
    demand(not any(it >= begin or it not in retired for it in missing), f"segments {sorted(missing)} are missing")
    if image:
        tree = replay(segments, image.tree, image.segment, image.end)
        for number, (segment_id, end) in image.segments.items():
            is_here = number in segments
            demand(not is_here or segments[number].id == segment_id, f"segment {number} is another one")
            is_end = number + 1 not in segments or number >= begin or (*end,) == segments[number + 1].end_of_the_one_before
            demand(not is_here or is_end, f"segment {number} ends elsewhere")
    if not image or not missing:
        whole = replay(segments, Tree(), 1, None)
        demand(not image or whole.state() == tree.state(), "an image is not what the log says")
        tree = whole
    return tree, segments


def replay(segments, tree, first, begin):
    """The tree after the log from one segment on, there from `begin` on (None: from its beginning)."""
    for number in range(first, max(segments) + 1):
        segment, following = segments[number], segments.get(number + 1)
        segment.begin_at(*(begin if begin and number == first else segment.beginning()))
        changes = read_closed(segment, *following.end_of_the_one_before) if following else read_last(segment)
        for change, fields in changes:
            tree.apply(change, fields)
    return tree


def content(version, segments):
    size, extents = version
    value = bytearray(size)
    for offset, count, number, at, sequence, exponent, length in extents:
        demand(number in segments, f"a value in segment {number}, which is not there")
        opened = segments[number].value(at, sequence, exponent, length)
        demand(opened is not None, f"segment {number}: the value at {at} does not open")
        demand(count <= length and offset + count <= size, "an extent does not fit")
        demand(not any(opened[count:]), "a value is not padded with zeros")
        value[offset : offset + count] = opened[:count]
    return bytes(value)


def files(vault, kind, secret):
    """Every file by path; all versions are read, those of removed files too."""
    tree, segments = read_vault(vault, kind, secret)
    values = {number: content(version, segments) for number, version in tree.versions.items()}
    found = {}
    for path, history, newest in sorted(tree.files(), key=lambda file: file[0]):
        current = b"" if newest is None else values[newest]
        found[path.decode(errors="surrogateescape")] = {
            "size": len(current),
            "sha256": hashlib.sha256(current).hexdigest(),
            "versions": min(len(history), SHOWN),
        }
    return found
