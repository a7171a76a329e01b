//! A finding: something of a vault that is not what was written, where it is, and whom it hurts.

use std::fmt;
use ward_policy::SecretPath;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One copy of the header is not whole; the other one is.
    HeaderCopy,
    /// An image does not open; the log serves in its place.
    Image,
    /// A segment is not there.
    SegmentMissing,
    /// A segment's header is not whole, or belongs elsewhere.
    SegmentHeader,
    /// A segment does not follow the one before it.
    SegmentOrder,
    /// A frame that was synced is not whole.
    Frame,
    /// A frame says what cannot be: changes that do not fit the tree.
    Meaning,
    /// The content of a version is not what was sealed.
    Content,
    /// The disk does not give the bytes.
    Unreadable,
}

/// One thing that is wrong with a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub fault: Fault,
    /// The segment, when it is in one.
    pub segment: Option<u64>,
    /// The byte in that segment where the hurt piece starts.
    pub position: Option<u64>,
    /// The secret it hurts, when that can be told.
    pub path: Option<SecretPath>,
}

impl Fault {
    const fn words(self) -> &'static str {
        match self {
            Self::HeaderCopy => "one copy of the header is not whole; the other copy serves",
            Self::Image => "an image of the index is not whole; the log serves in its place",
            Self::SegmentMissing => "the segment is missing",
            Self::SegmentHeader => "the header of the segment is not whole or belongs elsewhere",
            Self::SegmentOrder => "the segment does not follow the one before it",
            Self::Frame => "a synced frame is not whole; changes in it are lost",
            Self::Meaning => "a frame makes a change that does not fit the tree",
            Self::Content => "the content is not what was sealed",
            Self::Unreadable => "the disk cannot read it",
        }
    }
}

impl Finding {
    /// A finding at a place of a segment.
    pub(crate) const fn at(fault: Fault, segment: u64, position: u64) -> Self {
        Self { fault, segment: Some(segment), position: Some(position), path: None }
    }

    /// A finding about a whole segment.
    pub(crate) const fn of_segment(fault: Fault, segment: u64) -> Self {
        Self { fault, segment: Some(segment), position: None, path: None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(segment) = self.segment {
            write!(formatter, "segment {segment}")?;
        } else {
            formatter.write_str(if self.fault == Fault::Image { "images" } else { "header" })?;
        }
        if let Some(position) = self.position {
            write!(formatter, " at {position}")?;
        }
        write!(formatter, ": {}", self.fault.words())?;
        match &self.path {
            Some(path) => write!(formatter, " (hurts {path})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_segment_position_and_the_path_it_hurts() {
        let path = SecretPath::try_from("db/password").ok();
        let finding = Finding { path, ..Finding::at(Fault::Content, 3, 704) };
        assert_eq!(
            finding.to_string(),
            "segment 3 at 704: the content is not what was sealed (hurts db/password)"
        );
    }
}
