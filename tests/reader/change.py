"""Changes: what the batches of the log say, in both kinds of vaults."""

import struct

from sums import demand

EXTENT, REGION = "<QQQQQBI", "<QQQ"
SECRETS, WORKSPACE = 1, 2
MOST = 1 << 62


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

    def number(self):
        """The number of a node or a version, or an offset in a file."""
        number = self.take("<Q")
        demand(number <= MOST, "a number is too great")
        return number

    def short(self):
        return self.take(f"{self.take('B')}s")

    def place(self):
        return self.number(), self.short()

    def extent(self):
        extent = self.take(EXTENT)
        demand(max(extent[0], extent[3]) <= MOST and extent[1] <= extent[6], "an extent that cannot be")
        return extent

    def imprint(self):
        """Until when a version is served, and who wrote it."""
        expires, user = self.take("<q"), self.take("<I")
        agent, program = self.short(), self.take(f"{self.take('<H')}s")
        return expires, user, agent.decode(), program

    def many(self, form, count="<I"):
        return [self.take(form) for _ in range(self.take(count))]

    def extents(self, count="<I"):
        return [self.extent() for _ in range(self.take(count))]


def changes_of(data, kind):
    """The changes in these bytes of a vault of that kind, as (name, fields)."""
    fields, changes = Fields(data), []
    readers = of_every_vault(fields) | {SECRETS: of_secrets, WORKSPACE: of_workspace}[kind](fields)
    while fields.at < len(data):
        which = fields.take("B")
        demand(which in readers, f"a change {which} is not one of this vault")
        name, reader = readers[which]
        changes.append((name, reader()))
    return changes


def of_every_vault(fields):
    read = fields.take
    return {
        9: ("cut", lambda: dict(segment=read("<Q"), position=read("<Q"), bytes=read("<Q"))),
        11: ("moved", lambda: dict(segment=read("<Q"), sequence=read("<Q"), chain=read("32s"))),
        14: ("retire", lambda: dict(segment=read("<Q"))),
    }


def of_secrets(fields):
    read, number, place, many = fields.take, fields.number, fields.place, fields.many
    time = lambda: read("<q")
    regions, extents = lambda: many(REGION), fields.extents
    written = lambda: dict(file=number(), version=number(), bytes=read("<Q"), time=time())
    write = lambda: written() | dict(extents=extents())
    write_by = lambda: written() | dict(imprint=fields.imprint(), extents=extents())
    return {
        1: ("create", lambda: dict(file=number(), kind=read("B"), place=place(), time=time())),
        2: ("write", write),
        3: ("rename", lambda: dict(place=place(), to=place(), time=time())),
        4: ("unlink", lambda: dict(place=place(), time=time())),
        5: ("remove directory", lambda: dict(place=place(), time=time())),
        6: ("set times", lambda: dict(file=number(), modified=time(), changed=time())),
        7: ("shred", lambda: dict(file=number(), time=time(), regions=regions())),
        8: ("shred done", lambda: dict(file=number())),
        10: ("discard", lambda: dict(file=number(), regions=regions())),
        12: ("relocate", lambda: dict(version=number(), bytes=read("<Q"), extents=extents())),
        13: ("forget", lambda: dict(version=number())),
        27: ("write", write_by),
    }


SET = [("mode", "<H"), ("owner", "<I"), ("group", "<I"), ("size", "<Q")]
SET += [("accessed", "<q"), ("modified", "<q"), ("changed", "<q")]


def of_workspace(fields):
    read, number, entry, short = fields.take, fields.number, fields.place, fields.short
    time = lambda: read("<q")

    def make():
        made = dict(file=number(), type=read("B"), mode=read("<H"), owner=read("<I"), group=read("<I"))
        made |= dict(device=read("<I"), target=read(f"{read('<H')}s"))
        return made | dict(entry=entry(), time=time())

    def set_some():
        file, which = number(), read("B")
        demand(which < 128, "a field to set that is not known")
        return dict(file=file, set={name: read(form) for bit, (name, form) in enumerate(SET) if which >> bit & 1})

    def unmap():
        return dict(file=number(), offset=number(), bytes=number(), size=number(), time=time())

    def set_xattr():
        return dict(file=number(), time=time(), name=short(), value=read(f"{read('<I')}s"))

    return {
        15: ("make", make),
        16: ("link", lambda: dict(file=number(), entry=entry(), time=time())),
        17: ("unname", lambda: dict(entry=entry(), time=time())),
        18: ("move", lambda: dict(entry=entry(), to=entry(), time=time())),
        19: ("exchange", lambda: dict(entry=entry(), other=entry(), time=time())),
        20: ("set", set_some),
        21: ("map", lambda: dict(file=number(), time=time(), extent=fields.extent())),
        22: ("unmap", unmap),
        23: ("set xattr", set_xattr),
        24: ("remove xattr", lambda: dict(file=number(), time=time(), name=short())),
        25: ("relocate bytes", lambda: dict(file=number(), extent=fields.extent(), frames=fields.many("<QQ"))),
        26: ("drop", lambda: dict(file=number())),
    }
