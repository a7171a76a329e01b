//! Padding: how long a sealed piece looks from outside.

use crate::kind::VaultKind;

/// The grid on which every frame starts and every ciphertext lies.
pub(crate) const GRID: u64 = 64;
/// The unit of padding in a `secrets` vault.
const UNIT: u64 = 512;

/// The length that `length` bytes are padded to.
///
/// `secrets`: whole 512-byte units, their number rounded up by Padme (Nikitin et al., PETS 2019,
/// "Reducing Metadata Leakage from Encrypted Files", algorithm 1). `workspace`: the 64-byte grid.
pub(crate) fn padded(kind: VaultKind, length: u64) -> u64 {
    match kind {
        VaultKind::Secrets => padme(length.div_ceil(UNIT).max(1)) * UNIT,
        VaultKind::Workspace => length.max(1).next_multiple_of(GRID),
    }
}

/// Rounds up so that only the leading `log2(log2 length) + 1` bits are free; at most 12 % more.
fn padme(length: u64) -> u64 {
    if length < 2 {
        return length;
    }
    let exponent = length.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1_u64 << exponent.saturating_sub(kept)) - 1;
    (length + mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_at_least_512_bytes_long_and_grows_in_steps_that_hide_its_length() {
        for (length, expected) in [
            (0, 512),
            (1, 512),
            (512, 512),
            (513, 1024),
            (512 * 9, 512 * 10),
            (512 * 33, 512 * 36),
            (512 * 1000, 512 * 1024),
        ] {
            assert_eq!(padded(VaultKind::Secrets, length), expected, "{length}");
        }
    }

    #[test]
    fn padding_never_shortens_and_adds_at_most_an_eighth_and_one_unit() {
        for length in (0..3_000_000).step_by(97) {
            let longer = padded(VaultKind::Secrets, length);
            assert!(longer >= length && longer <= length + length / 8 + UNIT, "{length}");
            assert_eq!(padded(VaultKind::Secrets, longer), longer, "padding is stable");
        }
    }

    #[test]
    fn a_workspace_is_padded_to_the_grid_alone() {
        for (length, expected) in [(0, 64), (1, 64), (64, 64), (65, 128)] {
            assert_eq!(padded(VaultKind::Workspace, length), expected);
        }
    }
}
