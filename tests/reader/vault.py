"""A vault: from its folder and a credential to its files."""

import hashlib

import image as images
from change import WORKSPACE
from header import unlock
from segment import Segment, read_closed, read_last
from sums import demand
from tree import Tree
from workspace import FILE, Workspace

SHOWN = 10
TOLD = ["type", "mode", "owner", "group", "device", "links", "size", "accessed", "modified", "changed", "created"]


def read_vault(vault, kind, secret):
    """The tree of a vault, and its segments by number."""
    header, keys, _ = unlock(vault, kind, secret)
    tree_of = Workspace if header.kind == WORKSPACE else Tree
    paths = [it for it in (vault / "segments").iterdir() if len(it.name) == 10 and it.name.isdecimal()]
    segments = {it.number: it for it in (Segment(path, header, keys) for path in sorted(paths))}
    demand(segments, "there is no segment")
    image, last = images.newest(vault, header, keys, segments, tree_of), max(segments)
    begin, retired = (image.segment, set(image.retired)) if image else (1, set())
    missing = set(range(1, last + 1)) - segments.keys()
    demand(not any(it >= begin or it not in retired for it in missing), f"segments {sorted(missing)} are missing")
    if image:
        tree = replay(segments, image.tree, retired, image.segment, image.end)
        for number, (segment_id, end) in image.segments.items():
            is_here = number in segments
            demand(not is_here or segments[number].id == segment_id, f"segment {number} is another one")
            is_end = number + 1 not in segments or number >= begin or (*end,) == segments[number + 1].end_of_the_one_before
            demand(not is_here or is_end, f"segment {number} ends elsewhere")
    if not image or not missing:
        whole = replay(segments, tree_of(), retired, 1, None)
        demand(not image or whole.state() == tree.state(), "an image is not what the log says")
        tree = whole
    demand(not retired & tree.segments(), "something lives in a segment that was retired")
    return tree, segments


def replay(segments, tree, retired, first, begin):
    """The tree after the log from one segment on, there from `begin` on (None: from its beginning). Segments
    that the log retires go into `retired`."""
    for number in range(first, max(segments) + 1):
        segment, following = segments[number], segments.get(number + 1)
        segment.begin_at(*(begin if begin and number == first else segment.beginning()))
        changes = read_closed(segment, *following.end_of_the_one_before) if following else read_last(segment)
        for change, fields in changes:
            tree.apply(change, fields)
            if change == "retire":
                retired.add(fields["segment"])
    tree.end()
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


def bytes_of(node, segments):
    """The content of a file of a workspace: holes are zeros."""
    value = bytearray(node.size)
    for offset, count, skipped, number, at, sequence, exponent, length in node.pieces:
        demand(number in segments, f"bytes in segment {number}, which is not there")
        demand(skipped + count <= length and offset + count <= node.size, "a piece does not fit")
        opened = segments[number].value(at, sequence, exponent, length, skipped, skipped + count)
        demand(opened is not None, f"segment {number}: the bytes at {at} do not open")
        skipped %= 1 << exponent
        value[offset : offset + count] = opened[skipped : skipped + count]
    return bytes(value)


def files(vault, kind, secret):
    """Everything by path."""
    tree, segments = read_vault(vault, kind, secret)
    answer = nodes_of if isinstance(tree, Workspace) else files_of
    return {path.decode(errors="backslashreplace"): it for path, it in answer(tree, segments)}


def files_of(tree, segments):
    """Every file of secrets; all versions are read, those of removed files too."""
    values = {number: content(version, segments) for number, version in tree.versions.items()}
    for path, history, newest in tree.files():
        current = b"" if newest is None else values[newest]
        told = {"size": len(current), "sha256": hashlib.sha256(current).hexdigest()}
        yield path, told | {"versions": min(len(history), SHOWN)}


def nodes_of(tree, segments):
    """Every node of a workspace, under each of its names."""
    for path, number in tree.paths():
        node = tree.nodes[number]
        told = {name: getattr(node, name) for name in TOLD} | {"number": number}
        told["xattrs"] = {name.decode(errors="backslashreplace"): value.hex() for name, value in node.xattrs.items()}
        if node.type == FILE:
            told["sha256"] = hashlib.sha256(bytes_of(node, segments)).hexdigest()
            told["data"] = ranges(node)
        if node.target:
            told["target"] = node.target.decode(errors="backslashreplace")
        yield path, told


def ranges(node):
    """Where a file is no hole: begins and ends."""
    found = []
    for piece in node.pieces:
        if found and found[-1][1] == piece.offset:
            found[-1][1] = piece.end()
        else:
            found.append([piece.offset, piece.end()])
    return found
