//! The kind of a vault on disk, which decides how much its sizes show.

pub use ward_audit::VaultKind;

/// Its number in the header.
pub(crate) const fn number(kind: VaultKind) -> u8 {
    match kind {
        VaultKind::Secrets => 1,
        VaultKind::Workspace => 2,
    }
}

/// The kind of that number.
pub(crate) const fn from_number(number: u8) -> Option<VaultKind> {
    match number {
        1 => Some(VaultKind::Secrets),
        2 => Some(VaultKind::Workspace),
        _ => None,
    }
}
