//! A picture of a mistake: the line of the text, and beneath it what is wrong there.

use crate::output::is_deceptive;
use ariadne::{CharSet, Config, IndexType, Label, Report, ReportKind, Source};
use ward_policy::RuleFileError;

/// Draws where in `text`, called `name`, the fault is. Nothing in the picture moves a cursor, and no
/// colour is in it. Empty when it cannot be drawn.
pub(crate) fn of(fault: &RuleFileError, name: &str, text: &str) -> String {
    // One line more than there is, so that the end of the text can be pointed at.
    let harmless: String = text.chars().map(shown).chain(['\n']).collect();
    let characters = |bytes: usize| text.get(..bytes).unwrap_or_default().chars().count();
    let start = characters(fault.span.start);
    // A fault of a whole table is shown at its first line.
    let line = text.get(fault.span.start..fault.span.end).unwrap_or_default();
    let length = line.lines().next().unwrap_or_default().chars().count();
    let name: String = name.chars().map(shown).collect();
    let span = (name.as_str(), start..start + length.max(1));
    let config = Config::default()
        .with_color(false)
        .with_char_set(CharSet::Unicode)
        .with_index_type(IndexType::Char)
        .with_tab_width(1);
    let message: String = fault.message.chars().map(shown).collect();
    let report = Report::build(ReportKind::Error, span.clone()).with_config(config);
    let report = report.with_label(Label::new(span).with_message(message)).finish();
    let mut drawn = Vec::new();
    let written = report.write((name.as_str(), Source::from(harmless)), &mut drawn);
    let drawn = written.ok().and_then(|()| String::from_utf8(drawn).ok()).unwrap_or_default();
    // The first line says no more than that it is an error.
    drawn.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

/// A character that neither moves nor hides anything, in the place of each that would.
const fn shown(character: char) -> char {
    match character {
        '\n' => '\n',
        '\t' => ' ',
        other if is_deceptive(other) => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ward_policy::{Digest, Rules};

    fn picture(text: &str) -> String {
        let fault = Rules::load(text, Digest::from_bytes([0; 32])).unwrap_err();
        of(&fault, "policy.toml", text)
    }

    #[test]
    fn a_picture_shows_the_line_and_points_at_the_word() {
        let picture = picture("version = 1\n[ops]\n\"\u{e4}\" = \"low\"\n");
        let lines: Vec<&str> = picture.lines().map(str::trim_end).collect();
        assert!(lines[0].contains("policy.toml:3:1"), "{picture}");
        assert!(picture.contains("3 \u{2502} \"\u{e4}\" = \"low\""), "{picture}");
        assert!(picture.contains("is no operation"), "{picture}");
    }

    #[test]
    fn nothing_in_a_picture_moves_the_cursor() {
        let drawn = picture("version = 1\n[ops]\n\"a\u{202e}b\" = 1 # \u{1b}[2J\u{9b}\r\n");
        assert!(!drawn.chars().any(|each| each != '\n' && is_deceptive(each)), "{drawn:?}");
        assert!(!drawn.is_empty());
    }

    #[test]
    fn a_fault_at_the_end_has_a_picture() {
        assert!(picture("version = 1\nname = ").contains("2 \u{2502} name ="));
        assert!(picture("").contains("`version` is missing"));
    }
}
