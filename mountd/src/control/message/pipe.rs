//! Where the bytes of a secret go.

use serde::{Deserialize, Serialize};

/// Where a client says that bytes go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GoesTo {
    /// To the client, which shows them to somebody or keeps them to itself.
    #[default]
    Asker,
    /// Into a file or a pipe, as they are.
    Output,
    /// To a command.
    Command(Pipe),
}

/// A command that gets a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipe {
    /// The path of the program, which was found by the command's name.
    pub program: String,
    /// How it gets it.
    pub way: PipeWay,
    /// What the environment of the client says of this command.
    #[serde(default)]
    pub said: PipeSaid,
}

/// Clients of the sidecar are served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// Where.
    pub listening: String,
}

/// How a command gets a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PipeWay {
    /// On its standard input.
    Stdin,
    /// In these words of its command line, for `{secret}`.
    Arguments(Vec<String>),
    /// As a file that it reads itself, whose path stands for `{file}`.
    File(Vec<String>),
}

/// What the environment of a client says of a command: it counts where the settings say nothing, and
/// besides them where they do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PipeSaid {
    /// Whether it may get a secret at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<bool>,
    /// The templates it may be run with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templates: Option<Vec<String>>,
    /// The addresses it may be run with; one at least must be among its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_prefixes: Option<Vec<String>>,
}

impl GoesTo {
    /// Whether it is what is meant when nothing is said.
    pub fn is_asker(&self) -> bool {
        *self == Self::Asker
    }
}
