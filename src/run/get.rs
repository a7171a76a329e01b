//! `ward get`: shows a secret on the terminal, or passes it on to a command.

use crate::client::Client;
use crate::command::{GetArguments, UnlockArguments};
use crate::exit_code::ExitCode;
use crate::output::{Form, Report, is_deceptive, is_terminal, print, warn};
use crate::run::pipe;
use crate::secret_reference::SecretReference;
use crate::settings::Settings;
use crate::trouble::Trouble;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ward_mountd::control::message::{Command, FailureCode, GoesTo, Secret};
use zeroize::Zeroizing;

/// Shows it, or passes it on.
pub(crate) fn run(arguments: GetArguments, settings: &Settings) -> Result<ExitCode, Trouble> {
    let reference = SecretReference::parse(&arguments.name)?;
    if let Some(pipe) = arguments.pipe.given() {
        return pipe::run(pipe, reference, &arguments.unlock, settings);
    }
    let is_plain = arguments.raw || settings.form == Form::Json;
    let to = match (is_terminal(), is_plain) {
        (true, _) => GoesTo::Asker,
        (false, true) => GoesTo::Output,
        (false, false) => {
            let message = "refusing to write secret bytes to non-tty stdout";
            return Err(Trouble::bad_input(format!("{message}: {} was not read", arguments.name))
                .next("use --pipe-to COMMAND, or read it through a mount"));
        }
    };
    if to == GoesTo::Asker && arguments.raw && settings.form == Form::Text {
        warn("raw secret output on a terminal");
    }
    let (secret, value) = read(reference, to, &arguments.unlock, settings)?;
    let text = if arguments.raw { value.to_vec() } else { shown(&value) };
    print(settings.form, Report::new(secret, text))
}

/// Reads it: as it came, and its bytes.
pub(super) fn read(
    SecretReference { vault, path }: SecretReference,
    to: GoesTo,
    unlock: &UnlockArguments,
    settings: &Settings,
) -> Result<(Secret, Zeroizing<Vec<u8>>), Trouble> {
    let command = Command::Get { vault: vault.clone(), path, to };
    let mut client = Client::connect(settings)?;
    let secret: Secret = client.ask_unlocked(command, None, &vault, unlock)?;
    let mut bytes = Zeroizing::new(vec![0; secret.value.0.len()]);
    let length = STANDARD.decode_slice(secret.value.0.as_bytes(), &mut bytes).map_err(|error| {
        Trouble::new(FailureCode::Failed, format!("the daemon sent no base64: {error}"))
    })?;
    bytes.truncate(length);
    Ok((secret, bytes))
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
