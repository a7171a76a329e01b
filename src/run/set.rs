//! `ward set`: stores a secret.

use crate::client::Client;
use crate::command::{SetArguments, ValueSource};
use crate::output::{Report, count, escaped};
use crate::secret_reference::SecretReference;
use crate::settings::Settings;
use crate::trouble::Trouble;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Read;
use ward_mountd::control::message::{
    Command, FailureCode, LONGEST_VALUE, SecretText, Stored, Value,
};
use zeroize::Zeroizing;

/// Stores it.
pub(crate) fn run(arguments: SetArguments, settings: &Settings) -> Result<Report<Stored>, Trouble> {
    let SecretReference { vault, path } = SecretReference::parse(&arguments.name)?;
    let value = read(arguments.source, &arguments.name)?;
    let command = Command::Set { vault: vault.clone(), path, value };
    let mut client = Client::connect(settings)?;
    let stored: Stored = client.ask_unlocked(command, None, &vault, &arguments.unlock)?;
    let text = format!(
        "stored {}:{}, {} kept\n",
        escaped(&stored.vault),
        escaped(&stored.path),
        count(stored.versions, "version")
    );
    Ok(Report::new(stored, text))
}

fn read(source: ValueSource, name: &str) -> Result<Value, Trouble> {
    match source {
        ValueSource { generate: Some(length), .. } => Ok(Value::Generate(length)),
        ValueSource { value: Some(value), .. } => encode(value.0.as_bytes(), name),
        ValueSource { value: None, .. } => encode(&read_stdin()?, name),
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
