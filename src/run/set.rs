//! `ward set`: stores a secret.

use crate::client::Client;
use crate::command::{CharsetWord, SetArguments, ValueSource};
use crate::output::{Report, count, escaped};
use crate::secret_reference::SecretReference;
use crate::settings::Settings;
use crate::trouble::Trouble;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Read;
use ward_mountd::control::message::{
    Charset, Command, FailureCode, LONGEST_VALUE, Lifetime, LifetimeError, SecretText, Stored,
    Value,
};
use zeroize::Zeroizing;

/// Stores it.
pub(crate) fn run(arguments: SetArguments, settings: &Settings) -> Result<Report<Stored>, Trouble> {
    let SecretReference { vault, path } = SecretReference::parse(&arguments.name)?;
    // What nobody says here, ward.toml of the root does.
    let said = arguments.ttl.as_deref().or(settings.secret_ttl.as_deref());
    let ttl = said.map(ttl).transpose()?;
    let replace = arguments.replace;
    let value = read(&arguments)?;
    let command = Command::Set { vault: vault.clone(), path, value, ttl, replace };
    let mut client = Client::connect(settings)?;
    let stored: Stored = client.ask_unlocked(command, None, &vault, &arguments.unlock)?;
    let made = stored.bits.map(|bits| format!(", {}", count(bits.into(), "bit")));
    let ends = stored.expires.as_deref().map(|end| format!(", until {}", escaped(end)));
    let text = format!(
        "stored {}:{}{}{}, {} kept\n",
        escaped(&stored.vault),
        escaped(&stored.path),
        made.unwrap_or_default(),
        ends.unwrap_or_default(),
        count(stored.versions, "version")
    );
    Ok(Report::new(stored, text))
}

/// Reads whole days, a time such as `12h`, or `never`.
pub(super) fn ttl(text: &str) -> Result<Lifetime, Trouble> {
    text.parse().map_err(|error: LifetimeError| {
        Trouble::bad_input(error).next("write it such as 30 (days), 12h or never")
    })
}

fn read(arguments: &SetArguments) -> Result<Value, Trouble> {
    let SetArguments { source, length, charset, .. } = arguments;
    let bytes = match source {
        ValueSource { generate: true, .. } => {
            return Ok(Value::Generate { length: *length, charset: (*charset).into() });
        }
        ValueSource { value: Some(value), .. } => value.0.as_bytes(),
        ValueSource { value: None, .. } => &read_stdin()?,
    };
    if bytes.is_empty() {
        let message = format!("the value of {} is empty, so it was not stored", arguments.name);
        return Err(Trouble::bad_input(message)
            .next("see what should have made it; an empty file can be made through a mount"));
    }
    encode(bytes, &arguments.name)
}

impl From<CharsetWord> for Charset {
    fn from(word: CharsetWord) -> Self {
        match word {
            CharsetWord::Url => Self::Url,
            CharsetWord::Alphanumeric => Self::Alphanumeric,
            CharsetWord::Hex => Self::Hex,
            CharsetWord::Digits => Self::Digits,
            CharsetWord::Printable => Self::Printable,
        }
    }
}

/// At most one byte too many, and room for it all at once: a grown buffer leaves copies behind.
fn read_stdin() -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_VALUE + 64));
    let limit = u64::try_from(LONGEST_VALUE + 1).unwrap_or(u64::MAX);
    std::io::stdin().take(limit).read_to_end(&mut bytes).map_err(|error| {
        Trouble::new(FailureCode::Failed, format!("cannot read the value from stdin: {error}"))
    })?;
    Ok(bytes)
}

fn encode(bytes: &[u8], name: &str) -> Result<Value, Trouble> {
    if bytes.len() > LONGEST_VALUE {
        let message = format!("the value of {name} is over {LONGEST_VALUE} bytes");
        return Err(Trouble::bad_input(message)
            .next("mount the vault and copy the value into a file there: ward vault mount"));
    }
    Ok(Value::Bytes(SecretText(STANDARD.encode(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_value_is_taken_and_one_byte_more_is_refused_by_name() {
        assert!(encode(&vec![0; LONGEST_VALUE], "a").is_ok());
        let trouble = encode(&vec![0; LONGEST_VALUE + 1], "db/dump").unwrap_err();
        assert_eq!(trouble.failure.code, FailureCode::BadInput);
        assert!(trouble.failure.message.contains("db/dump"));
    }
}
