//! What a yes says of the open file it gives: who may go on with it, and whether its pages may be
//! filled.

use crate::rule_text::{Fault, Field, Table};
use crate::{Caller, Grade};

/// The terms of an open file, by the rules that permitted the open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandleTerms {
    /// Who besides its holder may go on with it.
    pub share: Share,
    /// Whether a read may fill pages.
    pub mapping: Mapping,
}

/// Whether a read may fill pages, which the kernel keeps for a moment and hands to whoever maps the
/// file: that of mmap(2), sendfile(2), splice(2) and read-ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mapping {
    /// It is refused.
    Refused,
    /// It is answered, recorded, and taken back.
    Allowed,
}

/// Who besides its holder may go on with an open file, from few to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// Nobody: whoever else has it needs a right of its own.
    Nobody,
    /// The same process after it has become another program.
    Exec,
    /// That, and the descendants of the opener.
    Children,
}

impl Share {
    /// The word of the policy and the log; none for nobody.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Nobody => None,
            Self::Exec => Some("exec"),
            Self::Children => Some("children"),
        }
    }

    /// By which right `user` may go on with what `opener` opened; `Nobody` when by none.
    ///
    /// Descent is what the kernel says at that moment: a process whose line to the opener has a
    /// link that ended is no descendant any more. Another uid, or a process whose identity cannot
    /// be believed, is given nothing.
    pub fn right_of(self, opener: &Caller, user: &Caller) -> Self {
        if user.uid != opener.uid || user.grade() == Grade::Untrusted {
            return Self::Nobody;
        }
        let right = if user.process == opener.process {
            Self::Exec
        } else if user.parents.iter().any(|parent| parent.process == opener.process) {
            Self::Children
        } else {
            Self::Nobody
        };
        if right <= self { right } else { Self::Nobody }
    }
}

impl Default for HandleTerms {
    /// What a rule says by saying nothing.
    fn default() -> Self {
        Self { share: Share::Nobody, mapping: Mapping::Allowed }
    }
}

impl HandleTerms {
    /// The keys of a rule that are read here.
    pub(crate) const KEYS: [&'static str; 2] = ["mapped", "share"];

    /// Reads them from a rule.
    pub(crate) fn read(rule: &Table<'_>) -> Result<Self, Fault> {
        let share = rule.field("share").map_or(Ok(Share::Nobody), |share| {
            share.choice(&[("exec", Share::Exec), ("children", Share::Children)])
        })?;
        let mapping = match rule.field("mapped").map(Field::flag).transpose()? {
            Some(false) => Mapping::Refused,
            Some(true) | None => Mapping::Allowed,
        };
        Ok(Self { share, mapping })
    }

    /// What both permit.
    pub(crate) fn narrowed_by(self, other: Self) -> Self {
        Self { share: self.share.min(other.share), mapping: self.mapping.min(other.mapping) }
    }
}
