"""Images: the tree at one position of the log, so that it need not be read from its beginning."""

import struct

from change import Fields
from sums import Damaged, demand, hkdf, notice, open_seal

HEADER, CHUNK, TAG = 64, 1 << 20, 16


class Image:
    """An image that opens; what it says is there once it is read."""

    def __init__(self, path, header, keys):
        data = path.read_bytes()
        head = data[:HEADER]
        demand(len(head) == HEADER and head[:8] == b"wardimg\0", f"{path}: no image")
        form, key_number, vault_id, number, image_id, size = struct.unpack_from("<II16sQ16sQ", head, 8)
        demand((form, vault_id, number) == (1, header.vault_id, int(path.name)), f"{path}: another one")
        demand(key_number in keys, f"{path}: under a key that is gone")
        key = hkdf(vault_id, keys[key_number], b"wardfs image seal v1" + image_id)
        plaintext, at, chunk = [], HEADER, 0
        while size > 0:
            end = at + min(size, CHUNK)
            nonce = struct.pack("<I8x", chunk)
            opened = open_seal(key, nonce, data[at:end], data[end : end + TAG], head)
            demand(opened is not None, f"{path}: does not open")
            plaintext.append(opened)
            size, at, chunk = size - len(opened), end + TAG, chunk + 1
        demand(at == len(data), f"{path}: has another length")
        self.plaintext = b"".join(plaintext)

    def read(self, tree):
        """Reads all of it, the tree into `tree`."""
        fields = Fields(self.plaintext)
        read, many = fields.take, lambda form: fields.many(form, "<Q")
        follow = read("<Q")
        self.segment, *end, self.branch, chain = read("<QQQQ32s")
        self.end = (*end, chain)
        self.segments = {number: (id, end) for number, id, *end in many("<Q16sQQ32s")}
        self.pins = many("<QQ32s")
        self.tree = tree
        tree.read(fields)
        self.retired = set(many("<Q"))
        self.moved = many("<QQ32s")
        if fields.at < 8 + follow:
            tree.read_imprints(fields)
        demand(fields.at == 8 + follow and not any(fields.data[fields.at :]), "an image has another length")


def newest(vault, header, keys, segments, tree_of):
    """The newest image that opens and fits, or None."""
    folder = vault / "images"
    paths = [it for it in folder.iterdir() if len(it.name) == 10 and it.name.isdecimal()] if folder.is_dir() else []
    for path in sorted(paths, reverse=True):
        try:
            image = Image(path, header, keys)
        except Damaged as error:
            notice(error)
            continue
        image.read(tree_of())
        if image.segment in segments and segments[image.segment].has_end(*image.end):
            return image
        notice(f"{path}: does not fit")
    return None
