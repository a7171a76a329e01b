"""The tree of a `secrets` vault: what changes make of files, names and versions."""

from change import REGION
from sums import demand


class Tree:
    """Places of nodes, histories of files (numbers of versions, oldest first), which file wrote each
    version, and what was removed."""

    def __init__(self):
        self.directories, self.names, self.histories, self.versions = {1}, {}, {}, {}
        self.writers, self.imprints = {}, {}
        self.removed = []

    def read(self, fields):
        """What an image says."""
        read, many = fields.take, lambda form: fields.many(form, "<Q")
        _next_node, _next_version = read("<QQ")
        for _ in range(read("<Q")):
            file, kind, place, _times = read("<Q"), read("B"), fields.place(), read("<qqq")
            if kind == 2:
                self.directories.add(file)
            else:
                self.histories[file] = many("<Q")
            if place != (0, b""):
                self.names[place] = file
        for _ in range(read("<Q")):
            path, file, _time = read(f"{read('<H')}s"), read("<Q"), read("<q")
            self.removed.append((path, file, many("<Q")))
        for _ in range(read("<Q")):
            number, writer, size, _time = read("<QQQq")
            self.writers[number] = writer
            self.versions[number] = size, fields.extents("<Q")
        self.unfinished = [(read("<Q"), many(REGION)) for _ in range(read("<Q"))]
        self.shredded = many("<QQ")
        self.dead = [(read("<Q"), many(REGION)) for _ in range(read("<Q"))]

    def read_imprints(self, fields):
        """Who wrote versions, and until when they are served."""
        for _ in range(fields.take("<Q")):
            version = fields.number()
            demand(version in self.versions, "an imprint of a version that is not there")
            self.imprints[version] = fields.imprint()

    def apply(self, change, of):
        if change == "create":
            self.create(of["file"], of["kind"], of["place"])
        elif change == "write":
            history = self.history(of["file"])
            demand(history is not None and of["version"] not in self.versions, "a write that does not fit")
            history.append(of["version"])
            self.writers[of["version"]] = of["file"]
            self.versions[of["version"]] = of["bytes"], of["extents"]
            if "imprint" in of:
                self.imprints[of["version"]] = of["imprint"]
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
                self.versions.pop(version, None)
        elif change == "relocate":
            demand(of["version"] in self.versions, "a version that is not there")
            self.versions[of["version"]] = of["bytes"], of["extents"]
        elif change == "forget":
            demand(self.versions.pop(of["version"], None), "a version that is not there")
            for history in [*self.histories.values(), *(it[2] for it in self.removed)]:
                history[:] = [it for it in history if it != of["version"]]

    def end(self):
        """Nothing goes when the log ends."""

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

    def segments(self):
        """Those in which something lives."""
        return {extent[2] for _, extents in self.versions.values() for extent in extents}

    def state(self):
        """All of it, to be compared."""
        def held(history):
            return [version for version in history if version in self.versions]

        histories = {file: held(history) for file, history in self.histories.items()}
        removed = sorted((path, file, held(history)) for path, file, history in self.removed)
        return self.directories, self.names, histories, self.versions, removed
