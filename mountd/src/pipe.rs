//! A pipe: a secret on its way to a command that somebody names, and what `[pipe]` of `ward.toml` says
//! of that. Guards against mistakes: whoever may read a secret can do with it what it likes.
//!
//! The daemon decides, by its settings and by what the environment of `ward` says; `ward` only starts
//! the command. Nothing here ever puts words of a template, or of a secret, into a message.

mod address;
mod command_line;
mod known;
mod settings;
mod template;

pub use address::UrlPrefix;
pub use known::first_words;
pub use settings::{CommandName, CommandNameError};
pub(crate) use settings::{PipeSettings, RawOutput};
pub use template::{FILE, SECRET, Template, TemplateError, fill, split};

use crate::control::message::{GoesTo, Pipe, PipeWay};
use address::AddressFault;
use command_line::{LineFault, LineRules};
use std::path::Path;

/// Why a secret does not go where it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipeError {
    #[error("refusing to write secret bytes to non-tty stdout")]
    RawOutput,
    #[error("the command of a pipe is no absolute path of a program")]
    Program,
    #[error(transparent)]
    Name(#[from] CommandNameError),
    #[error("secret piping is disabled: nothing says which commands may get a secret")]
    Disabled,
    #[error("pipe command '{0}' is not allowlisted")]
    NotListed(CommandName),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the template begins with another word than the command '{0}'")]
    OtherCommand(CommandName),
    #[error("the template is none of those that '{0}' may be run with")]
    NotTemplate(CommandName),
    #[error("a prefix of addresses is none: {0}")]
    Prefix(#[from] AddressFault),
    #[error("word {} of the command line {fault}", place + 1)]
    Line { place: usize, fault: LineFault },
    #[error("no word of the command line is an address, and '{0}' may be run only with one")]
    NoAddress(CommandName),
    #[error("the secret is no UTF-8 text, so it can be no word of a command line")]
    NotText,
    #[error("the secret contains control characters, so it can be no word of a command line")]
    ControlCharacters,
    #[error("the secret begins with '-', which the command would take for an option")]
    LooksLikeOption,
}

impl PipeError {
    /// What to do next.
    pub(crate) const fn next(&self) -> &'static str {
        match self {
            Self::RawOutput => {
                "use --pipe-to COMMAND with a command that may get secrets, or read it through a mount; \
                 the owner of the root can say raw = \"anywhere\" in [pipe] of ward.toml"
            }
            Self::Program | Self::Name(_) => {
                "name a program that is on your PATH, without any folder"
            }
            Self::Disabled => {
                "the owner of the root: allow = [\"COMMAND\"] in [pipe] of ward.toml; or while that \
                 says nothing: WARD_GET_PIPE_ALLOWLIST=COMMAND"
            }
            Self::NotListed(_) => {
                "add it to allow in [pipe] of ward.toml, and to WARD_GET_PIPE_ALLOWLIST where that is set"
            }
            Self::Template(_) | Self::OtherCommand(_) => {
                "write it as in: --pipe-to-args 'curl -u me:{secret} https://api.example.com/'"
            }
            Self::NotTemplate(_) => {
                "use one of templates in [pipe.commands] of ward.toml, or of WARD_GET_PIPE_ARG_POLICY"
            }
            Self::Prefix(_) => "write it such as https://api.example.com/v1/",
            Self::Line { .. } | Self::NoAddress(_) => {
                "see url_prefixes and deny_options in [pipe.commands] of ward.toml, and \
                 WARD_GET_PIPE_URL_POLICY: ward help pipe"
            }
            Self::NotText | Self::ControlCharacters | Self::LooksLikeOption => {
                "use --pipe-to or --pipe-to-file, which take any bytes"
            }
        }
    }
}

/// A pipe that may be used, unless the secret itself is in the way.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    /// The path of the program that gets the bytes; absent when no command does.
    pub(crate) program: Option<&'a str>,
    /// What the secret becomes a word of.
    line: Option<(&'a [String], LineRules<'a>)>,
}

impl<'a> Admitted<'a> {
    /// Asks the settings, and what the environment of the client says, whether bytes may go there.
    pub(crate) fn of(to: &'a GoesTo, settings: &'a PipeSettings) -> Result<Self, PipeError> {
        match to {
            GoesTo::Asker => Ok(Self { program: None, line: None }),
            GoesTo::Output => match settings.raw {
                RawOutput::Anywhere => Ok(Self { program: None, line: None }),
                RawOutput::Terminal => Err(PipeError::RawOutput),
            },
            GoesTo::Command(pipe) => Self::of_command(pipe, settings),
        }
    }

    fn of_command(pipe: &'a Pipe, settings: &'a PipeSettings) -> Result<Self, PipeError> {
        let path = Path::new(&pipe.program);
        let name = path.file_name().filter(|_| path.is_absolute()).and_then(|name| name.to_str());
        let name = CommandName::try_from(name.ok_or(PipeError::Program)?.to_owned())?;
        match (&settings.allow, pipe.said.allowed) {
            (None, None) => return Err(PipeError::Disabled),
            (Some(allow), _) if !allow.contains(&name) => return Err(PipeError::NotListed(name)),
            (_, Some(false)) => return Err(PipeError::NotListed(name)),
            (Some(_), None | Some(true)) | (None, Some(true)) => {}
        }
        let program = Some(pipe.program.as_str());
        let (words, placeholder) = match &pipe.way {
            PipeWay::Stdin => return Ok(Self { program, line: None }),
            PipeWay::Arguments(words) => (words, SECRET),
            PipeWay::File(words) => (words, FILE),
        };
        template::check(words, placeholder)?;
        if words.first().map(String::as_str) != Some(name.as_str()) {
            return Err(PipeError::OtherCommand(name));
        }
        let policy = settings.commands.get(&name);
        if let Some(templates) = policy.and_then(|policy| policy.templates.as_ref())
            && !templates.iter().any(|template| template.words() == words)
        {
            return Err(PipeError::NotTemplate(name));
        }
        if let Some(templates) = &pipe.said.templates {
            let is_it = |text: &String| template::split(text).as_ref() == Ok(words);
            if !templates.iter().any(is_it) {
                return Err(PipeError::NotTemplate(name));
            }
        }
        let said = pipe.said.url_prefixes.as_ref().map(|prefixes| {
            prefixes.iter().map(|text| UrlPrefix::try_from(text.clone())).collect()
        });
        let rules = LineRules::new(&name, policy, said.transpose()?);
        rules.check(&name, &fill(words, SECRET, template::STAND_IN))?;
        let line = (placeholder == SECRET).then_some((words.as_slice(), rules));
        Ok(Self { program, line })
    }

    /// Whether this very secret may go there: as a word it must stay within it.
    pub(crate) fn may_carry(&self, secret: &[u8]) -> Result<(), PipeError> {
        let Some((words, rules)) = &self.line else { return Ok(()) };
        let secret = std::str::from_utf8(secret).map_err(|_| PipeError::NotText)?;
        if secret.chars().any(char::is_control) {
            return Err(PipeError::ControlCharacters);
        }
        if secret.starts_with('-') && words.iter().any(|word| word.starts_with(SECRET)) {
            return Err(PipeError::LooksLikeOption);
        }
        let name = words.first().map(|name| CommandName::try_from(name.clone()));
        let name = name.ok_or(PipeError::Program)??;
        rules.check(&name, &fill(words, SECRET, secret))
    }
}

#[cfg(test)]
mod tests;
