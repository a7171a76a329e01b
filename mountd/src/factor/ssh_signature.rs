//! A signature of OpenSSH (`PROTOCOL.sshsig`): parsed strictly, and whether somebody touched the key.
//!
//! Ed25519 and ECDSA on P-256, plain or of a FIDO key (`PROTOCOL.u2f`). Verifiers elsewhere take a
//! FIDO signature that was made without a touch; here the flags are looked at.

use super::wire::Wire;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use p256::ecdsa::signature::Verifier;
use sha2::{Digest, Sha256, Sha512};

/// What the signature is for; one made for anything else does not count.
pub const NAMESPACE: &str = "ward-approval@v1";

const MAGIC: &[u8; 6] = b"SSHSIG";
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
/// No signature that is taken is longer.
const LONGEST: usize = 4096;
/// The bit of a FIDO key's flags that says that somebody touched it (user presence).
const PRESENCE: u8 = 0x01;

/// A signature whose parts are known, and not yet whether it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshSignature {
    bytes: Vec<u8>,
    key: Vec<u8>,
    hash: HashName,
    kind: KeyKind,
    /// The signature proper.
    proof: Vec<u8>,
    /// Flags and counter of a FIDO key.
    flags: Option<(u8, u32)>,
}

/// How sure it is that a person was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// Whoever can use the key.
    Unknown,
    /// Somebody touched the FIDO key.
    Touched,
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is none, or none of ours.
    #[error("this is no signature as ssh-keygen -Y sign makes them")]
    Form,
    /// It is for something else.
    #[error("the signature is for {0:?}, not for {NAMESPACE:?}")]
    Namespace(String),
    /// A kind of key that is not taken.
    #[error("keys of the type {0:?} are not taken")]
    KeyType(String),
    /// It was not made by this key over this text.
    #[error("the signature is not one over what this approval grants")]
    Wrong,
    /// A FIDO key signed, and nobody touched it.
    #[error("the FIDO key signed without a touch")]
    Untouched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HashName {
    Sha256,
    Sha512,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum KeyKind {
    Ed25519,
    P256,
    FidoEd25519(Vec<u8>),
    FidoP256(Vec<u8>),
}

/// A key as its bytes say: what kind it is, and the point.
struct Key {
    kind: KeyKind,
    point: Vec<u8>,
}

impl SshSignature {
    /// Reads what `ssh-keygen -Y sign` writes.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn from_text(text: &str) -> Result<Self, SignatureError> {
        let body = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
        let body: String = body.ok_or(SignatureError::Form)?.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(body).map_err(|_| SignatureError::Form)?;
        Self::from_bytes(&bytes)
    }

    /// Reads the bytes that are in base64 between the two lines.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureError> {
        if bytes.len() > LONGEST {
            return Err(SignatureError::Form);
        }
        let parts = Self::parts(bytes).ok_or(SignatureError::Form)?;
        let [key, namespace, hash, signature] = parts;
        if namespace != NAMESPACE.as_bytes() {
            let namespace = String::from_utf8_lossy(namespace).into_owned();
            return Err(SignatureError::Namespace(namespace));
        }
        let hash = match hash {
            b"sha256" => HashName::Sha256,
            b"sha512" => HashName::Sha512,
            _ => return Err(SignatureError::Form),
        };
        let Key { kind, .. } = Key::parse(key)?;
        let mut wire = Wire(signature);
        let form = || SignatureError::Form;
        if wire.string() != Some(kind.name().as_bytes()) {
            return Err(form());
        }
        let proof = wire.string().ok_or_else(form)?.to_vec();
        let flags = match kind {
            KeyKind::Ed25519 | KeyKind::P256 => None,
            KeyKind::FidoEd25519(_) | KeyKind::FidoP256(_) => {
                Some((wire.byte().ok_or_else(form)?, wire.number().ok_or_else(form)?))
            }
        };
        if !wire.is_empty() {
            return Err(form());
        }
        Ok(Self { bytes: bytes.to_vec(), key: key.to_vec(), hash, kind, proof, flags })
    }

    /// Key, namespace, name of the hash, and the signature proper.
    fn parts(bytes: &[u8]) -> Option<[&[u8]; 4]> {
        let mut wire = Wire(bytes.strip_prefix(MAGIC)?);
        if wire.number()? != 1 {
            return None;
        }
        let (key, namespace, reserved) = (wire.string()?, wire.string()?, wire.string()?);
        let (hash, signature) = (wire.string()?, wire.string()?);
        (reserved.is_empty() && wire.is_empty()).then_some([key, namespace, hash, signature])
    }

    /// The bytes it was read from.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The public key it says to be of, as `allowed_signers` has it in base64.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The digest of `text` that it would be over.
    pub fn digest(&self, text: &[u8]) -> Vec<u8> {
        match self.hash {
            HashName::Sha256 => Sha256::digest(text).to_vec(),
            HashName::Sha512 => Sha512::digest(text).to_vec(),
        }
    }

    /// Checks that its key signed the text with this digest, and tells whether somebody was there.
    ///
    /// # Errors
    /// [`SignatureError::Wrong`], and [`SignatureError::Untouched`] for a FIDO key nobody touched.
    pub fn verify(&self, digest: &[u8]) -> Result<Presence, SignatureError> {
        let mut signed = MAGIC.to_vec();
        let hash = match self.hash {
            HashName::Sha256 => "sha256",
            HashName::Sha512 => "sha512",
        };
        for part in [NAMESPACE.as_bytes(), b"", hash.as_bytes(), digest] {
            super::wire::write_string(&mut signed, part);
        }
        let key = Key::parse(&self.key)?;
        let presence = match (&key.kind, self.flags) {
            (KeyKind::Ed25519, _) => {
                key.check_ed25519(&signed, &self.proof)?;
                Presence::Unknown
            }
            (KeyKind::P256, _) => {
                key.check_p256(&signed, &self.proof)?;
                Presence::Unknown
            }
            (KeyKind::FidoEd25519(application), Some(flags)) => {
                key.check_ed25519(&said_by_key(application, flags, &signed), &self.proof)?;
                touched(flags.0)?
            }
            (KeyKind::FidoP256(application), Some(flags)) => {
                key.check_p256(&said_by_key(application, flags, &signed), &self.proof)?;
                touched(flags.0)?
            }
            (KeyKind::FidoEd25519(_) | KeyKind::FidoP256(_), None) => {
                return Err(SignatureError::Form);
            }
        };
        Ok(presence)
    }
}

/// What a FIDO key signs (`PROTOCOL.u2f`).
fn said_by_key(application: &[u8], (flags, counter): (u8, u32), text: &[u8]) -> Vec<u8> {
    let mut said = Sha256::digest(application).to_vec();
    said.push(flags);
    said.extend_from_slice(&counter.to_be_bytes());
    said.extend_from_slice(&Sha256::digest(text));
    said
}

fn touched(flags: u8) -> Result<Presence, SignatureError> {
    if flags & PRESENCE == 0 { Err(SignatureError::Untouched) } else { Ok(Presence::Touched) }
}

impl KeyKind {
    const fn name(&self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::P256 => "ecdsa-sha2-nistp256",
            Self::FidoEd25519(_) => "sk-ssh-ed25519@openssh.com",
            Self::FidoP256(_) => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }
}

impl Key {
    fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let mut wire = Wire(bytes);
        let name = wire.string().ok_or(SignatureError::Form)?;
        let name = String::from_utf8_lossy(name).into_owned();
        let mut point = |is_p256: bool| {
            let curve_is_right = !is_p256 || wire.string() == Some(b"nistp256");
            wire.string().filter(|_| curve_is_right).map(<[u8]>::to_vec)
        };
        let (is_fido, is_p256) = match name.as_str() {
            "ssh-ed25519" => (false, false),
            "ecdsa-sha2-nistp256" => (false, true),
            "sk-ssh-ed25519@openssh.com" => (true, false),
            "sk-ecdsa-sha2-nistp256@openssh.com" => (true, true),
            _ => return Err(SignatureError::KeyType(name)),
        };
        let point = point(is_p256).ok_or(SignatureError::Form)?;
        let kind = match (is_fido, is_p256) {
            (false, false) => KeyKind::Ed25519,
            (false, true) => KeyKind::P256,
            (true, is_p256) => {
                let application = wire.string().ok_or(SignatureError::Form)?.to_vec();
                if is_p256 {
                    KeyKind::FidoP256(application)
                } else {
                    KeyKind::FidoEd25519(application)
                }
            }
        };
        if wire.is_empty() { Ok(Self { kind, point }) } else { Err(SignatureError::Form) }
    }

    fn check_ed25519(&self, text: &[u8], proof: &[u8]) -> Result<(), SignatureError> {
        let point: [u8; 32] = self.point.as_slice().try_into().map_err(|_| SignatureError::Form)?;
        let key = VerifyingKey::from_bytes(&point).map_err(|_| SignatureError::Form)?;
        let proof = ed25519_dalek::Signature::from_slice(proof);
        let proof = proof.map_err(|_| SignatureError::Form)?;
        key.verify_strict(text, &proof).map_err(|_| SignatureError::Wrong)
    }

    fn check_p256(&self, text: &[u8], proof: &[u8]) -> Result<(), SignatureError> {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&self.point);
        let key = key.map_err(|_| SignatureError::Form)?;
        let mut wire = Wire(proof);
        let scalars = wire.scalar().zip(wire.scalar()).filter(|_| wire.is_empty());
        let (r, s) = scalars.ok_or(SignatureError::Form)?;
        let proof = p256::ecdsa::Signature::from_scalars(r, s);
        key.verify(text, &proof.map_err(|_| SignatureError::Form)?)
            .map_err(|_| SignatureError::Wrong)
    }
}
