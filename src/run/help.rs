//! `ward help`: a topic, or a command, as `--help` tells it.

use crate::command::HelpArguments;
use crate::error_code::ErrorCode;
use crate::help::{command, names, topic};
use crate::output::{Report, table};
use crate::trouble::Trouble;

/// What help was given.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Helped {
    text: String,
}

/// Looks the words up.
pub(crate) fn run(arguments: &HelpArguments) -> Result<Report<Helped>, Trouble> {
    let text = match arguments.words.as_slice() {
        [] => command().render_long_help().to_string(),
        [word] if word == "errors" => errors(),
        [word] if topic(word).is_some() => topic(word).unwrap_or_default().to_owned(),
        words => of_command(words)?,
    };
    Ok(Report::new(Helped { text: text.clone() }, text))
}

fn of_command(words: &[String]) -> Result<String, Trouble> {
    let mut found = command();
    found.build();
    for word in words {
        let Some(inner) = found.find_subcommand(word).filter(|inner| !inner.is_hide_set()) else {
            let message = format!("there is no topic or command {}", words.join(" "));
            let topics = names().join(", ");
            let next = format!("ward help shows every command; topics are {topics} and errors");
            return Err(Trouble::bad_input(message).next(next));
        };
        found = inner.clone();
    }
    Ok(found.render_help().to_string())
}

fn errors() -> String {
    let row = |code: ErrorCode| vec![code.name.to_owned(), code.means.to_owned()];
    let rows: Vec<Vec<String>> = ErrorCode::all().map(row).collect();
    let title = "Errors: what the code after a message means; ward explain CODE says what helps";
    format!("{title}\n\n{}", table(&rows))
}

/// What the code of an error means.
pub(crate) fn explain(code: ErrorCode) -> Report<ErrorCode> {
    let ErrorCode { name, means, next } = code;
    Report::new(code, format!("{name}: {means}\n  next: {next}\n"))
}
