//! A receipt: proof that a record is in the log.

use crate::ChainHash;

/// Proof that a record is in the log. Made only by [`crate::Log::append`], demanded by whoever
/// releases bytes, and not to be copied.
///
/// ```compile_fail
/// fn twice(receipt: ward_audit::Receipt) -> (ward_audit::Receipt, ward_audit::Receipt) {
///     (receipt.clone(), receipt)
/// }
/// ```
///
/// Its twin compiles, so the refusal above is for the copy:
///
/// ```
/// fn once(receipt: ward_audit::Receipt) -> ward_audit::Receipt {
///     receipt
/// }
/// ```
///
/// Nobody else can make one:
///
/// ```compile_fail
/// fn forged(seq: u64, hash: ward_audit::ChainHash) -> ward_audit::Receipt {
///     ward_audit::Receipt { seq, hash }
/// }
/// ```
///
/// and its twin:
///
/// ```
/// fn shown(receipt: &ward_audit::Receipt) -> (u64, ward_audit::ChainHash) {
///     (receipt.seq(), receipt.hash())
/// }
/// ```
#[derive(Debug)]
#[must_use = "a receipt is what releases bytes"]
pub struct Receipt {
    seq: u64,
    hash: ChainHash,
}

impl Receipt {
    pub(crate) const fn new(seq: u64, hash: ChainHash) -> Self {
        Self { seq, hash }
    }

    /// The number of the entry.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The hash of the entry, which stands for everything before it too.
    pub const fn hash(&self) -> ChainHash {
        self.hash
    }
}
