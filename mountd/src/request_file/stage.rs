//! How far a request file has come, and what it says of that: TOML, with all text of others in quotes.

use super::document::{Document, Kind};
use crate::pipeline::SET_ANEW;
use crate::whoami::shown;
use std::fmt;
use std::sync::Arc;
use ward_policy::{Caller, RequestId};

/// How far a request file has come.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// It is being written.
    Draft,
    /// What was there at a close is no request.
    Invalid(String),
    /// It is being handed in.
    Submitted,
    /// A human is asked.
    Pending { document: Document, id: RequestId, holder: Arc<Caller>, expires: String },
    /// Who may hand the file out is asked.
    Asked { document: Document, id: RequestId, expires: String },
    /// There is an answer.
    Decided { document: Document, id: Option<RequestId>, verdict: Verdict },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Approved {
        lease_seconds: u64,
    },
    /// The file was handed out.
    Handed {
        lease_seconds: u64,
        uses: Option<u32>,
    },
    /// The policy allows it as it is.
    Allowed,
    /// A human said no, perhaps in so many words.
    Denied(Option<Arc<str>>),
    /// The policy does.
    Refused,
    /// The secret has expired.
    Over,
    Expired,
}

impl Stage {
    /// Whether it can still be written.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Draft | Self::Invalid(_))
    }
}

/// As TOML: text of others is in quotes, without what controls a terminal.
impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |key: &str, value: &str| write_line(formatter, key, value);
        match self {
            Self::Draft | Self::Submitted => {
                line("state", "draft")?;
                line("next", "write path, operation and reason, and close it")
            }
            Self::Invalid(why) => {
                line("state", "invalid")?;
                line("error", why)?;
                line("next", "write it again from the same process, or make a new file")
            }
            Self::Pending { document, id, holder, expires } => {
                write_pending(formatter, document, *id)?;
                let program = holder.executable.as_deref().and_then(|it| it.path.as_deref());
                let program = String::from_utf8_lossy(program.unwrap_or_default());
                write_line(formatter, "program", &program)?;
                write_line(formatter, "expires", expires)?;
                let next = "a human must say yes; reading this name with .wait behind it waits";
                write_line(formatter, "next", next)
            }
            Self::Asked { document, id, expires } => {
                write_pending(formatter, document, *id)?;
                if let Kind::Handoff { from: Some(from) } = &document.kind {
                    write_line(formatter, "from", from)?;
                }
                write_line(formatter, "expires", expires)?;
                let next = "who may hand it out must say yes (.ward/inbox); reading this name with \
                            .wait behind it waits";
                write_line(formatter, "next", next)
            }
            Self::Decided { document, id, verdict } => {
                line("state", verdict.word())?;
                if let Some(id) = id {
                    line("request", &id.to_string())?;
                }
                line("path", &document.path.to_string())?;
                match (verdict, id) {
                    (Verdict::Approved { lease_seconds }, _) => {
                        line("lease", &format!("{lease_seconds}s"))?;
                    }
                    (Verdict::Handed { lease_seconds, uses }, Some(id)) => {
                        let path = document.path.to_string();
                        let name = path.rsplit('/').next().unwrap_or_default();
                        line("file", &format!(".ward/handoff/{id}/{name}"))?;
                        line("lease", &format!("{lease_seconds}s"))?;
                        if let Some(uses) = uses {
                            line("uses", &uses.to_string())?;
                        }
                    }
                    (_, _) => {}
                }
                if let Verdict::Denied(Some(words)) = verdict {
                    line("answer", words)?;
                }
                line("next", verdict.next())
            }
        }
    }
}

/// What a file says that waits for an answer, whoever gives it.
fn write_pending(
    formatter: &mut fmt::Formatter<'_>,
    document: &Document,
    id: RequestId,
) -> fmt::Result {
    write_line(formatter, "state", "pending")?;
    write_line(formatter, "request", &id.to_string())?;
    write_line(formatter, "path", &document.path.to_string())?;
    write_line(formatter, "reason", &document.reason)
}

fn write_line(formatter: &mut fmt::Formatter<'_>, key: &str, value: &str) -> fmt::Result {
    let value = serde_json::Value::from(shown(value.as_bytes()));
    writeln!(formatter, "{key} = {value}")
}

impl Verdict {
    const fn word(&self) -> &'static str {
        match self {
            Self::Approved { .. } | Self::Handed { .. } => "approved",
            Self::Allowed => "allowed",
            Self::Denied(_) => "denied",
            Self::Refused | Self::Over => "refused",
            Self::Expired => "expired",
        }
    }

    const fn next(&self) -> &'static str {
        match self {
            Self::Approved { .. } | Self::Allowed => "open the file",
            Self::Handed { .. } => "open what `file` says, at the top of this mount",
            Self::Denied(_) => "the answer was no; the same question is silent for a minute",
            Self::Refused => "the policy says no; give the id to whoever keeps it",
            Self::Over => SET_ANEW,
            Self::Expired => "nobody answered; ask again with a new file",
        }
    }
}
