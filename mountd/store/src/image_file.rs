//! The file of an image: sealed in chunks, so that neither side needs it twice in memory.

use crate::buffer::Buffer;
use crate::cipher::{Nonce, TAG};
use crate::durable::{Access, Disk, DiskFile};
use crate::fields::{Fields, in_memory, on_disk};
use crate::header::VaultId;
use crate::image::Image;
use crate::key::VaultKey;
use crate::key_ring::KeyRing;
use crate::kind::VaultKind;
use crate::padding::padded;
use crate::segment::{number_of, path_of};
use crate::writer::UNPUBLISHED;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"wardimg\0";
const VERSION: u32 = 1;
/// The number of bytes of the head, which is associated data of every chunk.
const HEAD: usize = 64;
/// So much is sealed at once.
const CHUNK: usize = 1 << 20;

/// Which image of which vault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageFile {
    pub(crate) vault: VaultId,
    pub(crate) number: u64,
    pub(crate) kind: VaultKind,
}

impl ImageFile {
    fn head(&self, key: u32, id: &[u8; 16], length: u64) -> Vec<u8> {
        let mut head = Vec::with_capacity(HEAD);
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        head.extend_from_slice(&key.to_le_bytes());
        head.extend_from_slice(&self.vault.0);
        head.extend_from_slice(&self.number.to_le_bytes());
        head.extend_from_slice(id);
        head.extend_from_slice(&length.to_le_bytes());
        head
    }
}

/// The head of a file, and what it says.
struct Head {
    bytes: Vec<u8>,
    /// Which key of the vault it is under.
    key: u32,
    id: [u8; 16],
    /// Of the plaintext.
    length: u64,
}

/// The numbers of all images that there are, whole or not.
pub(crate) fn numbers(disk: &dyn Disk, directory: &Path) -> io::Result<BTreeSet<u64>> {
    match disk.names(directory) {
        Ok(names) => Ok(names.iter().filter_map(|name| number_of(name.to_str()?)).collect()),
        // A vault of the first programs, or one copied by something that leaves empty folders out.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

/// Writes an image so that it is there whole or not at all, and reads it back; gives its size.
pub(crate) fn write(
    disk: &dyn Disk,
    directory: &Path,
    (image, keys): (ImageFile, &KeyRing),
    mut plain: Zeroizing<Vec<u8>>,
) -> io::Result<u64> {
    let length = padded(image.kind, on_disk(plain.len()));
    plain.resize(in_memory(length), 0);
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(io::Error::other)?;
    let key: &VaultKey = keys.newest();
    let head = image.head(key.number(), &id, length);
    let cipher = key.image_cipher(image.vault, &id);
    match disk.make_directory(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let new = directory.join(UNPUBLISHED);
    let file = disk.open(&new, Access::Create)?;
    file.write(&head, 0)?;
    let mut position = on_disk(HEAD);
    for (chunk, bytes) in (0_u32..).zip(plain.chunks_mut(CHUNK)) {
        let tag = cipher.seal(nonce(chunk), &head, bytes).ok_or(io::ErrorKind::InvalidData)?;
        file.write(bytes, position)?;
        file.write(&tag, position + on_disk(bytes.len()))?;
        position += on_disk(bytes.len() + TAG);
    }
    file.sync()?;
    let path = path_of(directory, image.number);
    disk.rename(&new, &path)?;
    disk.sync_directory(directory)?;
    match unseal(disk, &path, image, keys)? {
        Some(_) => Ok(position),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "the image was not kept")),
    }
}

/// Which key of the vault an image says it is under; `None` when it is none.
pub(crate) fn key_of(
    disk: &dyn Disk,
    directory: &Path,
    image: ImageFile,
) -> io::Result<Option<u32>> {
    let file = disk.open(&path_of(directory, image.number), Access::Read)?;
    Ok(read_head(&*file, file.size()?, image)?.map(|head| head.key))
}

/// Reads an image; `None` when a bit of it is wrong.
pub(crate) fn read(
    disk: &dyn Disk,
    directory: &Path,
    (image, keys): (ImageFile, &KeyRing),
) -> io::Result<Option<(Image, u64)>> {
    let plain = unseal(disk, &path_of(directory, image.number), image, keys)?;
    Ok(plain.and_then(|(plain, size)| Some((Image::decode(plain.as_slice(), image.kind)?, size))))
}

/// Opens every chunk of an image file.
fn unseal(
    disk: &dyn Disk,
    path: &Path,
    image: ImageFile,
    keys: &KeyRing,
) -> io::Result<Option<(Buffer, u64)>> {
    let file = disk.open(path, Access::Read)?;
    let size = file.size()?;
    let Some(Head { bytes: head, key, id, length }) = read_head(&*file, size, image)? else {
        return Ok(None);
    };
    let Some(key) = keys.key(key) else {
        return Ok(None);
    };
    let cipher = key.image_cipher(image.vault, &id);
    // Not `Zeroizing`, which wipes byte by byte: an image can have hundreds of megabytes.
    let mut plain = Buffer::for_reply(in_memory(length));
    let mut sealed = Buffer::for_file(on_disk(HEAD), CHUNK + TAG);
    let mut position = on_disk(HEAD);
    for (chunk, bytes) in (0_u32..).zip(plain.as_mut_slice().chunks_mut(CHUNK)) {
        sealed.shorten(bytes.len() + TAG);
        file.read(sealed.as_mut_slice(), position)?;
        position += on_disk(bytes.len() + TAG);
        let piece = sealed.as_slice().split_at(bytes.len());
        if cipher.open(nonce(chunk), &head, piece, bytes).is_none() {
            return Ok(None);
        }
    }
    Ok(Some((plain, size)))
}

/// Reads the head; `None` when it is not of this image.
fn read_head(file: &dyn DiskFile, size: u64, image: ImageFile) -> io::Result<Option<Head>> {
    if size < on_disk(HEAD) {
        return Ok(None);
    }
    let mut bytes = vec![0; HEAD];
    file.read(&mut bytes, 0)?;
    let mut fields = Fields::new(&bytes[40..]);
    let (Some(id), Some(length)) = (fields.array(), fields.u64()) else {
        return Ok(None);
    };
    let Some(key) = Fields::new(&bytes[12..]).u32() else {
        return Ok(None);
    };
    // A length that does not fit the file is not believed, and takes no memory.
    let tags = length.div_ceil(on_disk(CHUNK)) * on_disk(TAG);
    let fits = length.checked_add(tags + on_disk(HEAD)) == Some(size);
    let is_ours = bytes == image.head(key, &id, length);
    Ok((fits && is_ours).then_some(Head { bytes, key, id, length }))
}

/// Used once: every image has a key of its own.
fn nonce(chunk: u32) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&chunk.to_le_bytes());
    nonce
}
