//! The cipher: AES-256-GCM-SIV (RFC 8452), which seals frames, images and wrapped keys.
//!
//! Alone knows which library does it. Both give the same bytes: aes-gcm-siv is Rust, aws-lc-rs
//! (feature `aws-lc`) is C and assembly, and faster.

use crate::key::KEY_LENGTH;
use aes_gcm_siv::aead::inout::InOutBuf;
use aes_gcm_siv::{AeadInOut as _, Aes256GcmSiv, KeyInit as _};
#[cfg(feature = "aws-lc")]
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce as OneNonce, UnboundKey};
use std::fmt;
use ward_memory::SecretBox;
use zeroize::ZeroizeOnDrop;

/// The number of bytes of a tag.
pub(crate) const TAG: usize = 16;

/// What is sealed under one key once only.
pub(crate) type Nonce = [u8; 12];
/// What shows that nothing was changed, kept apart from the ciphertext.
pub(crate) type Tag = [u8; TAG];

#[cfg(feature = "aws-lc")]
type Chosen = LessSafeKey;
#[cfg(not(feature = "aws-lc"))]
type Chosen = Aes256GcmSiv;

/// AES-256-GCM-SIV under one key, expanded in memory for keys, except by aws-lc, which keeps it in its
/// own; both libraries wipe it when dropped.
pub(crate) struct Cipher(SecretBox<Chosen>);

impl Cipher {
    pub(crate) fn new(key: &[u8; KEY_LENGTH]) -> Self {
        Self(SecretBox::make(|| Chosen::under(key)))
    }

    /// Seals `bytes` in place; `None` above 64 GiB.
    pub(crate) fn seal(&self, nonce: Nonce, associated: &[u8], bytes: &mut [u8]) -> Option<Tag> {
        self.0.seal(nonce, associated, bytes)
    }

    /// Seals `plain` into `sealed`; `None` above 64 GiB, or when they differ in length.
    pub(crate) fn seal_into(
        &self,
        nonce: Nonce,
        associated: &[u8],
        plain: &[u8],
        sealed: &mut [u8],
    ) -> Option<Tag> {
        self.0.seal_into(nonce, associated, plain, sealed)
    }

    /// Opens `sealed` into `plain`, which has its length; when a bit is wrong, `plain` holds zeros.
    pub(crate) fn open(
        &self,
        nonce: Nonce,
        associated: &[u8],
        (sealed, tag): (&[u8], &[u8]),
        plain: &mut [u8],
    ) -> Option<()> {
        let opened = self.0.open(nonce, associated, (sealed, tag), plain);
        if opened.is_none() {
            // A library may leave there what it decrypted before it compared the tag.
            plain.fill(0);
        }
        opened
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Cipher(..)")
    }
}

// aes-gcm-siv leaves its keys in memory unless the crate below it is told to wipe them.
const _: () = is_wiped::<aes::Aes256>();
const fn is_wiped<Keys: ZeroizeOnDrop>() {}

/// What a library does for [`Cipher`].
trait Library: Sized {
    fn under(key: &[u8; KEY_LENGTH]) -> Self;
    fn seal(&self, nonce: Nonce, associated: &[u8], bytes: &mut [u8]) -> Option<Tag>;
    fn seal_into(
        &self,
        nonce: Nonce,
        associated: &[u8],
        plain: &[u8],
        sealed: &mut [u8],
    ) -> Option<Tag>;
    fn open(
        &self,
        nonce: Nonce,
        associated: &[u8],
        sealed: (&[u8], &[u8]),
        plain: &mut [u8],
    ) -> Option<()>;
}

impl Library for Aes256GcmSiv {
    fn under(key: &[u8; KEY_LENGTH]) -> Self {
        Self::new(key.into())
    }

    fn seal(&self, nonce: Nonce, associated: &[u8], bytes: &mut [u8]) -> Option<Tag> {
        let tag = self.encrypt_inout_detached(&nonce.into(), associated, bytes.into());
        Some(tag.ok()?.into())
    }

    fn seal_into(
        &self,
        nonce: Nonce,
        associated: &[u8],
        plain: &[u8],
        sealed: &mut [u8],
    ) -> Option<Tag> {
        let buffer = InOutBuf::new(plain, sealed).ok()?;
        let tag = self.encrypt_inout_detached(&nonce.into(), associated, buffer);
        Some(tag.ok()?.into())
    }

    fn open(
        &self,
        nonce: Nonce,
        associated: &[u8],
        (sealed, tag): (&[u8], &[u8]),
        plain: &mut [u8],
    ) -> Option<()> {
        let buffer = InOutBuf::new(sealed, plain).ok()?;
        let tag = tag.try_into().ok()?;
        self.decrypt_inout_detached(&nonce.into(), associated, buffer, tag).ok()
    }
}

#[cfg(feature = "aws-lc")]
impl Library for LessSafeKey {
    fn under(key: &[u8; KEY_LENGTH]) -> Self {
        let Ok(key) = UnboundKey::new(&AES_256_GCM_SIV, key) else {
            unreachable!("AES-256 takes keys of 32 bytes")
        };
        Self::new(key)
    }

    fn seal(&self, nonce: Nonce, associated: &[u8], bytes: &mut [u8]) -> Option<Tag> {
        let nonce = OneNonce::assume_unique_for_key(nonce);
        let tag = self.seal_in_place_separate_tag(nonce, Aad::from(associated), bytes);
        tag.ok()?.as_ref().try_into().ok()
    }

    fn seal_into(
        &self,
        nonce: Nonce,
        associated: &[u8],
        plain: &[u8],
        sealed: &mut [u8],
    ) -> Option<Tag> {
        let nonce = OneNonce::assume_unique_for_key(nonce);
        let (associated, mut tag) = (Aad::from(associated), [0; TAG]);
        self.seal_out_of_place_scatter(nonce, associated, plain, sealed, &[], &mut tag).ok()?;
        Some(tag)
    }

    fn open(
        &self,
        nonce: Nonce,
        associated: &[u8],
        (sealed, tag): (&[u8], &[u8]),
        plain: &mut [u8],
    ) -> Option<()> {
        let nonce = OneNonce::assume_unique_for_key(nonce);
        self.open_separate_gather(nonce, Aad::from(associated), sealed, tag, plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; KEY_LENGTH] = [7; KEY_LENGTH];
    const NONCE: Nonce = [3; 12];

    #[test]
    fn the_bytes_are_those_of_rfc_8452() {
        // Appendix C.2.
        let mut key = [0; KEY_LENGTH];
        key[0] = 1;
        let (mut nonce, mut bytes) = ([0; 12], [1, 0, 0, 0, 0, 0, 0, 0]);
        nonce[0] = 3;
        let tag = Cipher::new(&key).seal(nonce, b"", &mut bytes).unwrap();
        assert_eq!(bytes, 0xc2ef_328e_5c71_c83b_u64.to_be_bytes());
        assert_eq!(tag, 0x8431_2213_0f73_64b7_61e0_b974_27e3_df28_u128.to_be_bytes());
    }

    #[test]
    fn sealed_in_place_or_into_another_buffer_it_is_the_same() {
        let (cipher, plain) = (Cipher::new(&KEY), [5; 100]);
        let (mut in_place, mut apart) = (plain, [0; 100]);
        let tag = cipher.seal(NONCE, b"head", &mut in_place);
        assert_eq!(tag, cipher.seal_into(NONCE, b"head", &plain, &mut apart));
        assert_eq!(in_place, apart);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_refused_and_nothing_of_the_plaintext_is_left() {
        let cipher = Cipher::new(&KEY);
        let mut sealed = [5; 70];
        let tag = cipher.seal(NONCE, b"head", &mut sealed).unwrap();
        let parts = [NONCE.as_slice(), b"head", &sealed, &tag].concat();
        let open = |parts: &[u8]| {
            let (nonce, rest) = parts.split_at(NONCE.len());
            let (associated, rest) = rest.split_at(4);
            let mut plain = [1; 70];
            let nonce = nonce.try_into().unwrap();
            (cipher.open(nonce, associated, rest.split_at(70), &mut plain), plain)
        };
        assert_eq!(open(&parts), (Some(()), [5; 70]));
        for bit in 0..parts.len() * 8 {
            let mut parts = parts.clone();
            parts[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&parts), (None, [0; 70]), "bit {bit}");
        }
    }

    #[test]
    fn what_has_another_length_or_half_a_tag_is_refused() {
        let cipher = Cipher::new(&KEY);
        let mut sealed = [5; 70];
        let tag = cipher.seal(NONCE, b"", &mut sealed).unwrap();
        assert!(cipher.open(NONCE, b"", (&sealed, &tag), &mut [0; 71]).is_none());
        assert!(cipher.open(NONCE, b"", (&sealed, &tag[..8]), &mut [0; 70]).is_none());
        assert!(cipher.seal_into(NONCE, b"", &sealed, &mut [0; 69]).is_none());
    }

    #[test]
    fn a_cipher_does_not_show_its_key() {
        assert_eq!(format!("{:?}", Cipher::new(&KEY)), "Cipher(..)");
    }
}

#[cfg(test)]
#[cfg(feature = "aws-lc")]
mod library_tests;
