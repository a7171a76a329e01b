//! A key in a token, by PKCS#11 (OASIS, version 2.40 and 3.0): Ed25519 by `CKM_EDDSA`.

use super::Hand;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroizing;

/// The longest PIN, in bytes.
const LONGEST_PIN: u64 = 1024;

/// The library, which a process loads and initialises once.
#[derive(Default)]
pub(super) struct Module {
    library: Mutex<Option<Pkcs11>>,
    /// A token locks itself after a few wrong PINs: one is enough.
    is_pin_wrong: AtomicBool,
}

/// A session with a token, opened anew when it fails.
pub(super) struct Token<'a> {
    module: &'a Module,
    library: &'a Path,
    label: &'a str,
    kid: &'a str,
    pin_file: &'a Path,
    open: Option<(Session, ObjectHandle)>,
}

impl Module {
    fn get(&self, library: &Path) -> Result<Pkcs11, String> {
        let mut module = self.library.lock().map_err(|_| "the library is of no use".to_owned())?;
        if let Some(module) = &*module {
            return Ok(module.clone());
        }
        let fault = |error: Error| format!("cannot use the library {}: {error}", library.display());
        let loaded = Pkcs11::new(library).map_err(fault)?;
        loaded.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(fault)?;
        Ok(module.insert(loaded).clone())
    }
}

impl<'a> Token<'a> {
    pub(super) const fn new(
        module: &'a Module,
        library: &'a Path,
        (label, kid): (&'a str, &'a str),
        pin_file: &'a Path,
    ) -> Self {
        Self { module, library, label, kid, pin_file, open: None }
    }

    fn open(&self) -> Result<(Session, ObjectHandle), String> {
        let Self { label, kid, .. } = self;
        let module = self.module.get(self.library)?;
        let fault = |error: Error| format!("the token {label:?} is not to be had: {error}");
        let slots = module.get_slots_with_token().map_err(fault)?;
        let is_named = |slot: &cryptoki::slot::Slot| {
            module.get_token_info(*slot).is_ok_and(|info| info.label() == *label)
        };
        let slot = slots.into_iter().find(is_named);
        let slot = slot.ok_or_else(|| format!("no token is called {label:?}"))?;
        if self.module.is_pin_wrong.load(Ordering::Relaxed) {
            return Err(format!("the token {label:?} does not take the PIN; it is tried once"));
        }
        let session = module.open_ro_session(slot).map_err(fault)?;
        let pin = AuthPin::from(pin(self.pin_file)?.to_string());
        match session.login(UserType::User, Some(&pin)) {
            // All sessions of a process are logged in together.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => {
                self.module.is_pin_wrong.store(true, Ordering::Relaxed);
                return Err(format!("the token {label:?} does not take the PIN: {error}"));
            }
        }
        let wanted = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(KeyType::EC_EDWARDS),
            Attribute::Label(kid.as_bytes().to_vec()),
        ];
        let keys = session.find_objects(&wanted).map_err(fault)?;
        match keys.as_slice() {
            [key] => Ok((session, *key)),
            [] => Err(format!("the token {label:?} has no Ed25519 key with the label {kid:?}")),
            _ => Err(format!("the token {label:?} has several keys with the label {kid:?}")),
        }
    }

    fn sign_once(&mut self, hash: &[u8; 32]) -> Result<[u8; 64], String> {
        let (session, key) = match self.open.take() {
            Some(open) => open,
            None => self.open()?,
        };
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
        let signature = session.sign(&mechanism, key, hash);
        let signature = signature.map_err(|error| format!("the token does not sign: {error}"))?;
        self.open = Some((session, key));
        signature.try_into().map_err(|_| "what the token gives is no Ed25519 signature".to_owned())
    }
}

impl Hand for Token<'_> {
    fn sign(&mut self, hash: &[u8; 32]) -> Result<[u8; 64], String> {
        let was_open = self.open.is_some();
        match self.sign_once(hash) {
            // A session may have ended unnoticed.
            Err(_) if was_open => self.sign_once(hash),
            signed => signed,
        }
    }

    fn look(&mut self) -> Result<(), String> {
        self.sign(&[0; 32]).map(drop)
    }
}

/// The PIN: the first line of a file that no other user can open.
fn pin(file: &Path) -> Result<Zeroizing<String>, String> {
    let fault = |why: &dyn std::fmt::Display| format!("the PIN file {}: {why}", file.display());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = File::from(open(file, flags, Mode::empty()).map_err(|error| fault(&error))?);
    let stat = fstat(&opened).map_err(|error| fault(&error))?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !is_file || stat.st_mode & 0o077 != 0 {
        return Err(fault(&"it must be a file that only its owner can open: chmod 600 it"));
    }
    let mut pin = Zeroizing::new(String::new());
    opened.take(LONGEST_PIN).read_to_string(&mut pin).map_err(|error| fault(&error))?;
    let length = pin.trim_end_matches('\n').len();
    pin.truncate(length);
    Ok(pin)
}
