"""The tree of a `workspace` vault: what changes make of nodes, their names and their bytes."""

from dataclasses import astuple, dataclass, field
from typing import NamedTuple

from sums import demand, sha256

FILE, DIRECTORY, LINK, FIFO, SOCKET, CHARACTER_DEVICE, BLOCK_DEVICE = range(1, 8)
TOP = 1


class Piece(NamedTuple):
    """Bytes of a file that lie in one frame, behind `skipped` bytes of the frame's content."""

    offset: int
    bytes: int
    skipped: int
    segment: int
    position: int
    sequence: int
    exponent: int
    length: int

    def end(self):
        return self.offset + self.bytes

    def within(self, begin, end):
        """What of it lies in a range of the file: none or one piece."""
        begin, end = max(begin, self.offset), min(end, self.end())
        skipped = self.skipped + begin - self.offset
        return [self._replace(offset=begin, bytes=end - begin, skipped=skipped)] if begin < end else []

    def goes_on_in(self, other):
        same_frame = self[3:] == other[3:]
        return same_frame and (self.end(), self.skipped + self.bytes) == (other.offset, other.skipped)


@dataclass
class Node:
    type: int
    mode: int
    owner: int
    group: int
    device: int
    accessed: int
    modified: int
    changed: int
    created: int
    target: bytes = b""
    links: int = 0
    size: int = 0
    pieces: list = field(default_factory=list)
    xattrs: dict = field(default_factory=dict)

    def write(self, time):
        self.modified = self.changed = time

    def clear(self, begin, end):
        """Makes a hole."""
        kept = [(*it.within(0, begin), *it.within(end, it.end())) for it in self.pieces]
        self.pieces = [piece for pieces in kept for piece in pieces]

    def put(self, piece):
        self.clear(piece.offset, piece.end())
        self.pieces = sorted(self.pieces + [piece] * (piece.bytes > 0))

    def resize(self, size):
        demand(self.type == FILE, "a size of no file")
        self.size = size
        self.pieces = [piece for it in self.pieces for piece in it.within(0, size)]


class Workspace:
    """Nodes by number; by parent and name, the number and cookie of each entry."""

    def __init__(self):
        self.nodes = {TOP: Node(DIRECTORY, 0o700, 0, 0, 0, 0, 0, 0, 0, links=2)}
        self.names, self.cookies = {}, {}

    def read(self, fields):
        """What an image says."""
        read = fields.take
        _next = read("<Q")
        claimed = {}
        for _ in range(read("<Q")):
            number, kind, mode, owner, group, links, device, size = read("<QBHIIIIQ")
            node = self.nodes[number] = Node(kind, mode, owner, group, device, *read("<qqqq"), links=links, size=size)
            claimed[number] = sorted(fields.many("<QQ"))
            node.target = read(f"{read('<I')}s")
            for offset, count, skipped, segment, unit, sequence, units in fields.many("<QIIIIII"):
                frame = segment, unit * 64, sequence, (units >> 26) + 12, units % (1 << 26) * 64
                node.pieces.append(Piece(offset, count, skipped, *frame))
            for _ in range(read("<I")):
                name = fields.short()
                node.xattrs[name] = read(f"{read('<I')}s")
        for _ in range(read("<Q")):
            parent, cookie, number = read("<QQQ")
            entry = parent, fields.short()
            self.names[entry], self.cookies[entry] = number, cookie
        found = {number: [] for number in claimed}
        for entry, number in self.names.items():
            demand(number in found, "a name of no node")
            found[number].append((entry[0], self.cookies[entry]))
        demand({number: sorted(it) for number, it in found.items()} == claimed, "names of nodes that do not fit")

    def apply(self, change, of):
        {
            "make": self.make,
            "link": self.link,
            "unname": self.unname,
            "move": self.move,
            "exchange": self.exchange,
            "set": self.set,
            "map": self.map,
            "unmap": self.unmap,
            "set xattr": self.set_xattr,
            "remove xattr": self.remove_xattr,
            "relocate bytes": self.relocate,
            "drop": self.drop,
        }.get(change, lambda **_: None)(**of)

    def make(self, file, type, mode, owner, group, device, target, entry, time):
        demand(file not in self.nodes and FILE <= type <= BLOCK_DEVICE and mode <= 0o7777, "a node that cannot be")
        demand(bool(target) == (type == LINK) and len(target) <= 4095, "a target that cannot be")
        demand(not device or type in (CHARACTER_DEVICE, BLOCK_DEVICE), "a device number of no device")
        node = self.nodes[file] = Node(type, mode, owner, group, device, time, time, time, time, target)
        node.size, node.links = len(target), 2 if type == DIRECTORY else 1
        self.add(entry, file, time)

    def link(self, file, entry, time):
        node = self.node(file)
        demand(node.type != DIRECTORY and node.links > 0, "a second name of a directory, or of what has none")
        node.links += 1
        node.changed = time
        self.add(entry, file, time)

    def unname(self, entry, time):
        number = self.take(entry, time)
        node = self.nodes[number]
        node.changed = time
        if node.type == DIRECTORY:
            demand(not any(parent == number for parent, _ in self.names), "a directory that is not empty")
            node.links = 0
        else:
            node.links -= 1

    def move(self, entry, to, time):
        moved, replaced = self.named(entry), self.names.get(to)
        if moved == replaced:
            return
        cookie = self.cookies.get(to)
        is_directory = self.nodes[moved].type == DIRECTORY
        self.demand_not_below(to, moved)
        if replaced is not None:
            is_fit = (self.nodes[replaced].type == DIRECTORY) == is_directory
            demand(is_fit, "a directory and something else replace each other")
            self.unname(to, time)
        self.take(entry, time)
        self.add(to, moved, time, cookie)
        self.nodes[moved].changed = time

    def exchange(self, entry, other, time):
        one, two = self.named(entry), self.named(other)
        if one == two:
            return
        self.demand_not_below(other, one)
        self.demand_not_below(entry, two)
        cookies = [self.cookies[entry], self.cookies[other]]
        self.take(entry, time)
        self.take(other, time)
        self.add(entry, two, time, cookies[0])
        self.add(other, one, time, cookies[1])
        for number in (one, two):
            self.nodes[number].changed = time

    def set(self, file, set):
        node = self.node(file)
        demand(set.get("mode", 0) <= 0o7777, "a mode that cannot be")
        if "size" in set:
            node.resize(set.pop("size"))
        for name, value in set.items():
            setattr(node, name, value)

    def map(self, file, time, extent):
        node, piece = self.file(file), piece_of(extent)
        node.put(piece)
        node.size = max(node.size, piece.end())
        node.write(time)

    def unmap(self, file, offset, bytes, size, time):
        node = self.file(file)
        node.clear(offset, offset + bytes)
        node.resize(size)
        node.write(time)

    def set_xattr(self, file, time, name, value):
        node = self.node(file)
        node.xattrs[name], node.changed = value, time

    def remove_xattr(self, file, time, name):
        node = self.node(file)
        demand(node.xattrs.pop(name, None) is not None, "an attribute that is not there")
        node.changed = time

    def relocate(self, file, extent, frames):
        node, whole = self.file(file), piece_of(extent)
        for old in node.pieces:
            if (old.segment, old.position) in frames:
                for part in old.within(whole.offset, whole.end()):
                    node.put(*whole.within(part.offset, part.end()))

    def drop(self, file):
        demand(self.node(file).links == 0, "a node with a name is dropped")
        del self.nodes[file]

    def node(self, number):
        demand(number in self.nodes, "a node that is not there")
        return self.nodes[number]

    def file(self, number):
        demand(self.node(number).type == FILE, "bytes of no file")
        return self.nodes[number]

    def named(self, entry):
        demand(entry in self.names, "an entry that is not there")
        return self.names[entry]

    def add(self, entry, number, time, cookie=None):
        """Gives a node a name; directories are counted in the one above."""
        parent = self.node(entry[0])
        demand(parent.type == DIRECTORY and (parent.links > 0) and entry not in self.names, "an entry that cannot be")
        demand(entry[1] not in (b"", b".", b"..") and not {0, 47} & set(entry[1]), "a name that cannot be")
        if cookie is None:
            taken = {it for (above, _), it in self.cookies.items() if above == entry[0]}
            first = max(1, int.from_bytes(sha256(entry[1])[:8], "little") >> 9) << 8
            cookie = next(it for it in range(first, first + 256) if it not in taken)
        self.names[entry], self.cookies[entry] = number, cookie
        parent.links += self.nodes[number].type == DIRECTORY
        parent.write(time)

    def take(self, entry, time):
        number, parent = self.named(entry), self.nodes[entry[0]]
        del self.names[entry], self.cookies[entry]
        parent.links -= self.nodes[number].type == DIRECTORY
        parent.write(time)
        return number

    def demand_not_below(self, entry, number):
        """That an entry is not below a node, so that the node may go there."""
        parents = {child: parent for (parent, _), child in self.names.items()}
        above = entry[0]
        while above is not None and self.nodes[number].type == DIRECTORY:
            demand(above != number, "a directory goes into itself")
            above = parents.get(above)

    def end(self):
        """Drops what has no name."""
        self.nodes = {number: node for number, node in self.nodes.items() if node.links > 0}
        for node in self.nodes.values():
            pieces, node.pieces = node.pieces, []
            for piece in pieces:
                if node.pieces and node.pieces[-1].goes_on_in(piece):
                    joined = node.pieces[-1].bytes + piece.bytes
                    node.pieces[-1] = node.pieces[-1]._replace(bytes=joined)
                else:
                    node.pieces.append(piece)

    def paths(self):
        """Every path, as bytes, with the number of its node."""
        below = {}
        for (parent, name), number in self.names.items():
            below.setdefault(parent, []).append((name, number))
        found = [(b"", TOP)]
        while found:
            path, number = found.pop()
            yield path, number
            found += [(path + b"/" * (path != b"") + name, child) for name, child in below.get(number, [])]

    def segments(self):
        """Those in which something lives."""
        return {piece.segment for node in self.nodes.values() for piece in node.pieces}

    def state(self):
        """All of it, to be compared."""
        return {number: astuple(node) for number, node in self.nodes.items()}, self.names, self.cookies


def piece_of(extent):
    offset, count, *frame = extent
    return Piece(offset, count, 0, *frame)
