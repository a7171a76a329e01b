"""The tree: what changes are, and what they make of files, names and versions."""

import struct

from sums import demand

EXTENT, REGION = "<QQQQQBI", "<QQQ"


class Fields:
    """Takes fields from bytes, one after the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        size = struct.calcsize(form)
        demand(self.at + size <= len(self.data), "a field is cut off")
        values = struct.unpack_from(form, self.data, self.at)
        self.at += size
        return values[0] if len(values) == 1 else values

    def place(self):
        parent, length = self.take("<QB")
        return parent, self.take(f"{length}s")

    def many(self, form, count="<I"):
        return [self.take(form) for _ in range(self.take(count))]


def changes_of(data):
    """The changes in these bytes as (name, fields)."""
    fields, changes = Fields(data), []
    read, place, many = fields.take, fields.place, fields.many
    readers = {
        1: ("create", lambda: dict(file=read("<Q"), kind=read("B"), place=place(), time=read("<q"))),
        2: (
            "write",
            lambda: dict(
                file=read("<Q"), version=read("<Q"), bytes=read("<Q"), time=read("<q"), extents=many(EXTENT)
            ),
        ),
        3: ("rename", lambda: dict(place=place(), to=place(), time=read("<q"))),
        4: ("unlink", lambda: dict(place=place(), time=read("<q"))),
        5: ("remove directory", lambda: dict(place=place(), time=read("<q"))),
        6: ("set times", lambda: dict(file=read("<Q"), modified=read("<q"), changed=read("<q"))),
        7: ("shred", lambda: dict(file=read("<Q"), time=read("<q"), regions=many(REGION))),
        8: ("shred done", lambda: dict(file=read("<Q"))),
        9: ("cut", lambda: dict(segment=read("<Q"), position=read("<Q"), bytes=read("<Q"))),
        10: ("discard", lambda: dict(file=read("<Q"), regions=many(REGION))),
        11: ("moved", lambda: dict(segment=read("<Q"), sequence=read("<Q"), chain=read("32s"))),
        12: ("relocate", lambda: dict(version=read("<Q"), bytes=read("<Q"), extents=many(EXTENT))),
        13: ("forget", lambda: dict(version=read("<Q"))),
        14: ("retire", lambda: dict(segment=read("<Q"))),
    }
    while fields.at < len(data):
        which = read("B")
        demand(which in readers, f"a change {which} is not known")
        name, reader = readers[which]
        changes.append((name, reader()))
    return changes


class Tree:
    """Places of nodes, histories of files (numbers of versions, oldest first), which file wrote each
    version, and what was removed."""

    def __init__(self):
        self.directories, self.names, self.histories, self.versions = {1}, {}, {}, {}
        self.writers = {}
        self.removed = []

    def apply(self, change, of):
        if change == "create":
            self.create(of["file"], of["kind"], of["place"])
        elif change == "write":
            history = self.history(of["file"])
            demand(history is not None and of["version"] not in self.versions, "a write that does not fit")
            history.append(of["version"])
            self.writers[of["version"]] = of["file"]
            self.versions[of["version"]] = of["bytes"], of["extents"]
        elif change == "rename":
            self.rename(of["place"], of["to"])
        elif change == "unlink":
            path, node = self.path(of["place"]), self.take_away(of["place"])
            demand(node in self.histories, "an unlink of a directory")
            # Another file may have been removed there: the folder had another name then.
            versions = self.take_removed(path) + self.histories.pop(node)
            self.removed.append((path, node, versions))
        elif change == "remove directory":
            node = self.take_away(of["place"])
            demand(node in self.directories, "no directory")
            demand(not any(parent == node for parent, _ in self.names), "the directory is not empty")
            self.directories.remove(node)
        elif change == "shred":
            gone = self.history(of["file"])
            demand(gone is not None, "a shred of no file")
            self.histories.pop(of["file"], None)
            self.names = {place: node for place, node in self.names.items() if node != of["file"]}
            self.removed = [it for it in self.removed if it[1] != of["file"]]
            for version in gone:
                del self.versions[version]
        elif change == "relocate":
            demand(of["version"] in self.versions, "a version that is not there")
            self.versions[of["version"]] = of["bytes"], of["extents"]
        elif change == "forget":
            demand(self.versions.pop(of["version"], None), "a version that is not there")
            for history in [*self.histories.values(), *(it[2] for it in self.removed)]:
                history[:] = [it for it in history if it != of["version"]]

    def create(self, node, kind, place):
        demand(kind in (1, 2), "a node of another kind")
        demand(node not in self.histories.keys() | self.directories, "a number is used again")
        self.put(place, node)
        if kind == 2:
            self.directories.add(node)
        else:
            self.histories[node] = self.take_removed(self.path(place))

    def rename(self, place, to):
        node, replaced = self.take_away(place), self.names.pop(to, None)
        self.put(to, node)
        if node in self.histories:
            demand(replaced not in self.directories, "a file replaces a directory")
            older = self.take_removed(self.path(to)) + self.histories.pop(replaced, [])
            self.histories[node] = older + self.histories[node]
        else:
            demand(replaced not in self.histories, "a directory replaces a file")
            self.directories.discard(replaced)

    def history(self, file):
        removed = (versions for _, node, versions in self.removed if node == file)
        return self.histories.get(file) if file in self.histories else next(removed, None)

    def take_removed(self, path):
        taken = [version for it in self.removed if it[0] == path for version in it[2]]
        self.removed = [it for it in self.removed if it[0] != path]
        return taken

    def put(self, place, node):
        demand(place[0] in self.directories and place not in self.names and place[1], "a place that does not fit")
        self.names[place] = node

    def take_away(self, place):
        demand(place in self.names, "a place where nothing is")
        return self.names.pop(place)

    def path(self, place):
        places, parts = {node: place for place, node in self.names.items()}, []
        while place is not None:
            parts.append(place[1])
            place = places.get(place[0])
        return b"/".join(reversed(parts))

    def files(self):
        """Paths of files, as bytes, with the numbers of their versions, oldest first, and the current one:
        the newest, if this very file wrote it."""
        for place, node in self.names.items():
            if node in self.histories:
                history = self.histories[node]
                is_own = bool(history) and self.writers[history[-1]] == node
                yield self.path(place), history, history[-1] if is_own else None

    def state(self):
        """All of it, to be compared."""
        return self.directories, self.names, self.histories, self.versions, sorted(self.removed)
