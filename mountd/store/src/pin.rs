//! A pin: how far a vault had come, remembered outside of it, so that an older copy is noticed.

use crate::durable::{Disk, read_whole, replace};
use crate::fields::Fields;
use crate::header::VaultId;
use crate::key::VaultKey;
use crate::key_ring::KeyRing;
use crate::wall_time::WallTime;
use crate::writer::SyncedHead;
use std::io;
use std::path::Path;

const MAGIC: &[u8; 8] = b"wardpin\0";
const VERSION: u32 = 1;
const SIGNED: usize = 128;
const LONGEST: usize = 160;

/// A synced head, and when it was remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The position of the log.
    pub head: SyncedHead,
    /// When it was written, as the vault was told the time.
    pub time: WallTime,
}

impl Pin {
    /// Puts the pin in the place of the one at `path`, durably.
    pub(crate) fn write(
        &self,
        disk: &dyn Disk,
        path: &Path,
        (vault, key): (VaultId, &VaultKey),
    ) -> io::Result<()> {
        replace(disk, path, &self.encode(vault, key))
    }

    /// Reads the pin at `path`; `None` when there is none, or none of this vault.
    pub(crate) fn read(
        disk: &dyn Disk,
        path: &Path,
        (vault, keys): (VaultId, &KeyRing),
    ) -> io::Result<Option<Self>> {
        match read_whole(disk, path, LONGEST) {
            Ok(bytes) => Ok(Self::decode(&bytes, vault, keys)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The pin as bytes: 128 of fields and padding, then their HMAC-SHA256.
    fn encode(&self, vault: VaultId, key: &VaultKey) -> Vec<u8> {
        let SyncedHead { branch, segment, sequence, chain, header_generation } = self.head;
        let mut bytes = Vec::with_capacity(LONGEST);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&key.number().to_le_bytes());
        bytes.extend_from_slice(&vault.0);
        for field in [branch, segment, sequence, header_generation] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&chain);
        bytes.extend_from_slice(&self.time.nanoseconds().to_le_bytes());
        bytes.resize(SIGNED, 0);
        let mac = key.pin_mac(vault).sign(&bytes);
        bytes.extend_from_slice(&mac);
        bytes
    }

    fn decode(bytes: &[u8], vault: VaultId, keys: &KeyRing) -> Option<Self> {
        let (signed, mac) = bytes.split_at_checked(SIGNED)?;
        let mut fields = Fields::new(signed);
        let is_ours = fields.bytes(MAGIC.len())? == MAGIC && fields.u32()? == VERSION;
        let key = keys.key(fields.u32()?)?;
        let is_ours = is_ours && fields.array()? == vault.0;
        let (branch, segment, sequence) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let (header_generation, chain) = (fields.u64()?, fields.array()?);
        let time = WallTime::from_nanoseconds(fields.i64()?);
        let head = SyncedHead { branch, segment, sequence, chain, header_generation };
        let is_whole = key.pin_mac(vault).verifies(signed, mac);
        (is_ours && is_whole).then_some(Self { head, time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_changed_in_any_bit_or_of_another_vault_is_none() {
        let keys = KeyRing::of(VaultKey::from_bytes(7, &[2; 32]).unwrap());
        let vault = VaultId([1; 16]);
        let chain = [9; 32];
        let head = SyncedHead { branch: 1, segment: 2, sequence: 3, chain, header_generation: 4 };
        let pin = Pin { head, time: WallTime::from_nanoseconds(-5) };
        let bytes = pin.encode(vault, keys.newest());
        assert_eq!(Pin::decode(&bytes, vault, &keys), Some(pin));
        assert_eq!(Pin::decode(&bytes, VaultId([2; 16]), &keys), None);
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Pin::decode(&changed, vault, &keys), None, "bit {bit}");
        }
    }
}
