//! An imprint: who wrote a version of a secret, and until when it is served.
//!
//! It is written with the version and never changes: another end takes another version.

use crate::changing::Existing;
use crate::fields::Fields;
use crate::wall_time::WallTime;

/// Who wrote a version, and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imprint {
    /// From when on nobody is given it; `None` for never.
    pub expires: Option<WallTime>,
    /// Who wrote it.
    pub maker: Maker,
}

/// Somebody who wrote a version, as the daemon attested it then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maker {
    /// The user's number.
    pub uid: u32,
    /// The agent whose session it was in.
    pub agent: Option<Box<str>>,
    /// The path of the program.
    pub program: Option<Box<[u8]>>,
}

/// How a version is written.
#[derive(Clone, Debug)]
pub struct Writing {
    /// When.
    pub time: WallTime,
    /// By whom, and until when it is served; unknown when absent.
    pub imprint: Option<Box<Imprint>>,
    /// What becomes of the version before.
    pub existing: Existing,
}

impl From<WallTime> for Writing {
    fn from(time: WallTime) -> Self {
        Self { time, imprint: None, existing: Existing::Replace }
    }
}

impl Imprint {
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        let Maker { uid, agent, program } = &self.maker;
        let expires = self.expires.unwrap_or_default();
        bytes.extend(expires.nanoseconds().to_le_bytes());
        bytes.extend(uid.to_le_bytes());
        // What is too long is left out: no name of an agent is, and no path of a program.
        let agent = agent.as_deref().unwrap_or_default();
        let length = u8::try_from(agent.len()).unwrap_or(0);
        bytes.push(length);
        bytes.extend_from_slice(agent.as_bytes().get(..length.into()).unwrap_or_default());
        let program = program.as_deref().unwrap_or_default();
        let length = u16::try_from(program.len()).unwrap_or(0);
        bytes.extend(length.to_le_bytes());
        bytes.extend_from_slice(program.get(..length.into()).unwrap_or_default());
    }

    /// Reads one; `None` when the bytes are none.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let expires = WallTime::from_nanoseconds(fields.i64()?);
        let uid = fields.u32()?;
        let length = fields.u8()?;
        let agent = std::str::from_utf8(fields.bytes(length.into())?).ok()?;
        let length = u16::from_le_bytes(fields.array()?);
        let program = fields.bytes(length.into())?;
        let maker = Maker {
            uid,
            agent: (!agent.is_empty()).then(|| agent.into()),
            program: (!program.is_empty()).then(|| program.into()),
        };
        Some(Self { expires: Some(expires).filter(|end| *end != WallTime::default()), maker })
    }
}
