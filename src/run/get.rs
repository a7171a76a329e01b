//! `ward get`: shows a secret on the terminal, and elsewhere only when told.

use crate::client::Client;
use crate::command::GetArguments;
use crate::output::{Report, is_deceptive, is_terminal};
use crate::secret_reference::SecretReference;
use crate::settings::Settings;
use crate::trouble::Trouble;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ward_mountd::control::message::{Command, FailureCode, Secret};
use zeroize::Zeroizing;

/// Shows it.
pub(crate) fn run(
    arguments: &GetArguments,
    settings: &Settings,
) -> Result<Report<Secret>, Trouble> {
    let SecretReference { vault, path } = SecretReference::parse(&arguments.name)?;
    if !arguments.raw && !is_terminal() {
        let message = format!("stdout is no terminal, so {} was not read", arguments.name);
        return Err(Trouble::bad_input(message)
            .next("say --raw to write it into a file or a pipe, or read it through a mount"));
    }
    let command = Command::Get { vault: vault.clone(), path };
    let mut client = Client::connect(settings)?;
    let secret: Secret = client.ask_unlocked(command, None, &vault, &arguments.unlock)?;
    let mut bytes = Zeroizing::new(vec![0; secret.value.0.len()]);
    let length = STANDARD.decode_slice(secret.value.0.as_bytes(), &mut bytes).map_err(|error| {
        Trouble::new(FailureCode::Failed, format!("the daemon sent no base64: {error}"))
    })?;
    let value = bytes.get(..length).unwrap_or_default();
    let text = if arguments.raw { value.to_vec() } else { shown(value) };
    Ok(Report::new(secret, text))
}

/// A value on a terminal: lines stay, what the terminal would obey does not, and the last line ends.
fn shown(value: &[u8]) -> Vec<u8> {
    // Escapes take ten bytes at most for one: no growth, so no copy stays behind.
    let mut text = String::with_capacity(value.len() * 10 + 1);
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_deceptive(character) && !matches!(character, '\n' | '\t') {
                text.extend(character.escape_unicode());
            } else {
                text.push(character);
            }
        }
        chunk.invalid().iter().for_each(|byte| text.extend(byte.escape_ascii().map(char::from)));
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_terminal_keeps_its_lines_and_moves_no_cursor() {
        assert_eq!(shown(b"one\ntwo"), b"one\ntwo\n");
        assert_eq!(shown(b"one\n"), b"one\n");
        assert_eq!(shown(b"\x1b]0;evil\x07\xff"), b"\\u{1b}]0;evil\\u{7}\\xff\n");
    }
}
