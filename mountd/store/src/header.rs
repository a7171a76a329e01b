//! The header of a vault: its id, its kind, its key slots and retired keys, under one MAC.

use crate::fields::Fields;
use crate::header_file::Claim;
use crate::key::VaultKey;
use crate::key_ring::KeyRing;
use crate::key_slot::KeySlot;
use crate::kind::{self, VaultKind};
use crate::retired_key::RetiredKey;
use crate::slot_secret::SlotSecret;
use std::fmt;

/// The format this program writes.
pub(crate) const FORMAT: u32 = 1;
/// No header is longer.
pub(crate) const LONGEST: usize =
    48 + LONGEST_LABEL + 255 * (KeySlot::ENCODED + RetiredKey::ENCODED) + MAC;
/// The longest owner label, in bytes.
pub(crate) const LONGEST_LABEL: usize = 255;
const MAGIC: &[u8; 8] = b"wardhdr\0";
const MAC: usize = 32;

/// The random id of a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultId(pub [u8; 16]);

/// What the header says.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) vault: VaultId,
    /// Raised by every change of the header.
    pub(crate) generation: u64,
    pub(crate) kind: VaultKind,
    /// A few words of the owner, not secret; may be empty.
    pub(crate) label: String,
    pub(crate) slots: Vec<KeySlot>,
    /// The next slot's number.
    pub(crate) next_slot: u32,
    /// The keys before the newest, the oldest first.
    pub(crate) retired: Vec<RetiredKey>,
    /// A pin was written for it: without one it may have been rolled back.
    pub(crate) is_pinned: bool,
}

/// A header as it was read: whether it is genuine shows only under its key.
#[derive(Debug)]
pub(crate) struct SealedHeader {
    header: Header,
    signed: Vec<u8>,
    mac: Vec<u8>,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    NotHeader,
    /// Written by a program that knows this later format.
    Newer(u32),
}

/// Why a header gives no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenFault {
    /// No slot of this kind.
    NoSlot,
    /// There are such slots, and none opens.
    WrongSecret,
    /// A slot opened, and the header is not what was written with that key.
    Changed,
    /// A slot asks for more work than any honest one, or than the machine can do.
    TooCostly,
}

impl Header {
    /// The header as bytes, signed under the newest key.
    pub(crate) fn encode(&self, key: &VaultKey) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&self.next_slot.to_le_bytes());
        bytes.extend_from_slice(&self.vault.0);
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.push(kind::number(self.kind));
        // All are bounded where a header is made or changed.
        bytes.extend(u8::try_from(self.slots.len()));
        bytes.extend(u8::try_from(self.label.len()));
        bytes.extend(u8::try_from(self.retired.len()));
        bytes.extend_from_slice(&[u8::from(self.is_pinned), 0, 0, 0]);
        bytes.extend_from_slice(self.label.as_bytes());
        self.slots.iter().for_each(|slot| slot.encode(&mut bytes));
        self.retired.iter().for_each(|retired| retired.encode(&mut bytes));
        let mac = key.header_mac(self.vault).sign(&bytes);
        bytes.extend_from_slice(&mac);
        bytes
    }
}

impl SealedHeader {
    /// Reads a header without believing it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let mut fields = Fields::new(bytes);
        if fields.bytes(MAGIC.len()) != Some(MAGIC) {
            return Err(HeaderFault::NotHeader);
        }
        match fields.u32() {
            Some(FORMAT) => {}
            Some(newer) if newer > FORMAT => return Err(HeaderFault::Newer(newer)),
            Some(_) | None => return Err(HeaderFault::NotHeader),
        }
        let header = decode_fields(&mut fields).ok_or(HeaderFault::NotHeader)?;
        let (signed, mac) = bytes.split_at(bytes.len() - MAC);
        Ok(Self { header, signed: signed.to_vec(), mac: mac.to_vec() })
    }

    /// What it claims about the vault.
    pub(crate) fn claim(&self) -> Claim {
        Claim { kind: self.header.kind, label: self.header.label.clone() }
    }

    /// The generation it claims.
    pub(crate) const fn generation(&self) -> u64 {
        self.header.generation
    }

    /// Whether it was written by who had this key.
    pub(crate) fn is_genuine(&self, key: &VaultKey) -> bool {
        key.header_mac(self.header.vault).verifies(&self.signed, &self.mac)
    }

    /// Whether it says, as only who had this key could, that the key has a successor.
    pub(crate) fn retires(&self, key: &VaultKey) -> bool {
        self.header.retired.iter().any(|retired| retired.retires(self.header.vault, key))
    }

    /// Tries `secret` on every slot of its kind, and with the key checks the whole header.
    pub(crate) fn open(&self, secret: &SlotSecret) -> Result<(Header, KeyRing), OpenFault> {
        let mut fault = OpenFault::NoSlot;
        for slot in self.header.slots.iter().filter(|slot| slot.kind == secret.kind()) {
            match slot.open(self.header.vault, secret) {
                Ok(key) if self.is_genuine(&key) => {
                    let Header { vault, retired, .. } = &self.header;
                    let ring = RetiredKey::open_all(retired, *vault, key);
                    return Ok((self.header.clone(), ring.ok_or(OpenFault::Changed)?));
                }
                Ok(_) => return Err(OpenFault::Changed),
                Err(OpenFault::WrongSecret) if fault == OpenFault::TooCostly => {}
                Err(slot_fault) => fault = slot_fault,
            }
        }
        Err(fault)
    }
}

impl fmt::Display for VaultId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

fn decode_fields(fields: &mut Fields<'_>) -> Option<Header> {
    let next_slot = fields.u32()?;
    let vault = VaultId(fields.array()?);
    let generation = fields.u64()?;
    let kind = kind::from_number(fields.u8()?)?;
    let (slots, label) = (fields.u8()?, usize::from(fields.u8()?));
    let retired = fields.u8()?;
    let is_pinned = match fields.u8()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    fields.zeros(3)?;
    let label = String::from_utf8(fields.bytes(label)?.to_vec()).ok()?;
    let slots = (0..slots).map(|_| KeySlot::decode(fields)).collect::<Option<Vec<_>>>()?;
    let retired = (0..retired).map(|_| RetiredKey::decode(fields)).collect::<Option<Vec<_>>>()?;
    fields.bytes(MAC)?;
    // All slots wrap the newest key.
    let is_one_key = slots.windows(2).all(|pair| pair[0].key == pair[1].key);
    let header = Header { vault, generation, kind, label, slots, next_slot, retired, is_pinned };
    (is_one_key && fields.is_empty()).then_some(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passphrase::{Passphrase, PassphraseCost};
    use crate::slot_secret::{Keyfile, NewSlot, SlotId};
    use zeroize::Zeroizing;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(Zeroizing::new(text.as_bytes().to_vec()))
    }

    fn sealed() -> Vec<u8> {
        let passphrase = passphrase("right");
        sealed_for(&NewSlot::Passphrase(&passphrase, PassphraseCost::nearly_nothing()))
    }

    fn sealed_for(new: &NewSlot<'_>) -> Vec<u8> {
        let vault = VaultId([1; 16]);
        let key = VaultKey::from_bytes(1, &[8; 32]).unwrap();
        let slot = KeySlot::seal((vault, &key), (SlotId(0), 1), new).unwrap();
        let label = "payments".to_owned();
        let kind = VaultKind::Secrets;
        let slots = vec![slot];
        let ring = KeyRing::of(VaultKey::from_bytes(0, &[9; 32]).unwrap());
        let ring = ring.succeeded_by(vault, VaultKey::from_bytes(1, &[8; 32]).unwrap());
        let retired = RetiredKey::seal_all(vault, &ring).unwrap();
        let (generation, next_slot, is_pinned) = (1, 1, true);
        let header =
            Header { vault, generation, kind, label, slots, next_slot, retired, is_pinned };
        header.encode(&key)
    }

    #[test]
    fn the_right_passphrase_opens_a_header_and_a_wrong_one_is_called_wrong() {
        let right = SlotSecret::Passphrase(passphrase("right"));
        let (header, key) = SealedHeader::decode(&sealed()).unwrap().open(&right).unwrap();
        assert_eq!((header.label.as_str(), key.newest().as_bytes()), ("payments", &[8; 32]));
        let wrong = SlotSecret::Passphrase(passphrase("wrong"));
        let refused = SealedHeader::decode(&sealed()).unwrap().open(&wrong);
        assert_eq!(refused.err(), Some(OpenFault::WrongSecret));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_header_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let keyfile = Keyfile::create(&folder.path().join("key")).unwrap();
        let sealed = sealed_for(&NewSlot::Keyfile(&keyfile));
        let right = SlotSecret::Keyfile(keyfile);
        for bit in 0..sealed.len() * 8 {
            let mut bytes = sealed.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let opened = SealedHeader::decode(&bytes).map(|header| header.open(&right).is_ok());
            assert_ne!(opened, Ok(true), "bit {bit}");
        }
    }

    #[test]
    fn a_later_format_is_told_apart_from_damage() {
        let mut bytes = sealed();
        bytes[8] = 2;
        assert_eq!(SealedHeader::decode(&bytes).err(), Some(HeaderFault::Newer(2)));
        bytes[8] = 0;
        assert_eq!(SealedHeader::decode(&bytes).err(), Some(HeaderFault::NotHeader));
        assert_eq!(SealedHeader::decode(&bytes[..7]).err(), Some(HeaderFault::NotHeader));
    }
}
