//! Help: what `--help` says besides the words of the command line, and topics that are no command.

use crate::command::Arguments;
use clap::{Arg, ArgMatches, Command, CommandFactory};
use std::collections::BTreeMap;

/// The examples of each command, by its words without `ward`.
type Examples = BTreeMap<&'static str, Vec<&'static str>>;

/// Behind what is of the command itself, and before --help.
const LAST: usize = 998;
/// A line with the words of a command, and indented lines with examples of it.
const EXAMPLES: &str = include_str!("help/examples.txt");
/// What is to be known besides single commands, by its name.
const TOPICS: [(&str, &str); 9] = [
    ("agents", include_str!("help/topics/agents.txt")),
    ("approvals", include_str!("help/topics/approvals.txt")),
    ("environment", include_str!("help/topics/environment.txt")),
    ("log", include_str!("help/topics/log.txt")),
    ("mounts", include_str!("help/topics/mounts.txt")),
    ("pipe", include_str!("help/topics/pipe.txt")),
    ("policy", include_str!("help/topics/policy.txt")),
    ("sources", include_str!("help/topics/sources.txt")),
    ("start", include_str!("help/topics/start.txt")),
];

/// The command line, with the examples of every command.
pub(crate) fn command() -> Command {
    completed(Arguments::command(), "", &all_examples())
        .after_help("ward help TOPIC: ".to_owned() + &names().join(", ") + ", errors")
}

/// A group whose commands were put in by `augment`, with what every command of it has.
pub(crate) fn completed_group(group: Command, augment: fn(Command) -> Command) -> Command {
    let (words, about) =
        (group.get_name().to_owned(), group.get_about().cloned().unwrap_or_default());
    completed_within(augment(group).about(about), &words, &all_examples())
}

/// A command of these words and all that is known below it, with `--agent` and their examples.
fn completed(command: Command, words: &str, examples: &Examples) -> Command {
    let command = with_agent(completed_within(command, words, examples));
    with_examples(command, examples.get(words).map_or(&[], Vec::as_slice))
}

fn completed_within(command: Command, words: &str, examples: &Examples) -> Command {
    command.mut_subcommands(|inner| {
        let words = [words, inner.get_name()].join(" ");
        completed(inner, words.trim_start(), examples)
    })
}

/// Under which name commands are asked: the last one that was said.
///
/// A global argument of clap would not do: `ward --agent a run --agent b` has two that differ.
pub(crate) fn agent(matches: &ArgMatches) -> Option<String> {
    let inner = matches.subcommand().and_then(|(_, inner)| agent(inner));
    inner.or_else(|| matches.try_get_one::<String>("agent").ok().flatten().cloned())
}

/// Has a command take `--agent`, unless it means another one by it.
fn with_agent(command: Command) -> Command {
    if command.get_arguments().any(|argument| argument.get_long() == Some("agent")) {
        return command;
    }
    let help = "Act under NAME: as that client of the policy, or else with NAME in the log";
    command.arg(Arg::new("agent").long("agent").value_name("NAME").help(help).display_order(LAST))
}

/// The names of all topics.
pub(crate) fn names() -> Vec<&'static str> {
    TOPICS.iter().map(|(name, _)| *name).collect()
}

/// The text of a topic.
pub(crate) fn topic(name: &str) -> Option<&'static str> {
    TOPICS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

fn all_examples() -> Examples {
    let mut examples = Examples::new();
    let mut words = "";
    for line in EXAMPLES.lines() {
        match line.strip_prefix("  ") {
            Some(example) => examples.entry(words).or_default().push(example),
            None => words = line,
        }
    }
    examples
}

fn with_examples(command: Command, examples: &[&str]) -> Command {
    if examples.is_empty() {
        return command;
    }
    let before = command.get_after_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
    let title = if examples.len() == 1 { "Example:" } else { "Examples:" };
    command.after_help(format!("{before}{title}\n  {}", examples.join("\n  ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_example_is_shown_twice() {
        for (words, mut examples) in all_examples() {
            let count = examples.len();
            examples.sort_unstable();
            examples.dedup();
            assert_eq!(examples.len(), count, "{words}");
        }
    }

    /// The words of every command that does something.
    fn leaves(command: &Command, words: &str, found: &mut Vec<String>) {
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
            let words = format!("{words} {}", inner.get_name());
            if !inner.is_subcommand_required_set() {
                found.push(words.trim_start().to_owned());
            }
            leaves(inner, &words, found);
        }
    }

    /// The words of an example as a shell would give them to `ward`.
    fn parsed(example: &str) -> Vec<String> {
        let from = example.find("ward ").unwrap();
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for character in example[from..].chars() {
            match (quote, character) {
                (None, '|' | '>' | '<') => break,
                (None, ' ') => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
                (None, '"' | '\'') => quote = Some(character),
                (Some(open), character) if open == character => quote = None,
                (None | Some(_), character) => word.push(character),
            }
        }
        words.extend((!word.is_empty()).then_some(word));
        words
    }

    #[test]
    fn every_command_has_an_example_that_it_accepts_and_no_example_is_of_none() {
        let mut commands = Vec::new();
        let (mut all, mut known) = (super::command(), all_examples());
        all.build();
        leaves(&all, "", &mut commands);
        assert!(commands.len() > 50, "{commands:?}");
        for command in &commands {
            let examples = known.remove(command.as_str()).unwrap_or_default();
            assert!(!examples.is_empty(), "{command} has no example");
            for example in examples {
                let words = parsed(example);
                let read = super::command().try_get_matches_from(&words);
                assert!(read.is_ok(), "{example}: {words:?}: {}", read.unwrap_err());
                assert!(example.contains(&format!("ward {command}")) || example.contains("--json"));
            }
        }
        assert!(known.is_empty(), "no commands: {known:?}");
    }

    #[test]
    fn the_name_a_command_acts_under_is_told_from_the_one_it_is_about() {
        let cases = [
            ("ward get a", None),
            ("ward --agent a get x", Some("a")),
            ("ward get x --agent a", Some("a")),
            ("ward vault --agent a status x", Some("a")),
            ("ward --agent a vault status x --agent b", Some("b")),
            ("ward run --agent b -- true", None),
            ("ward --agent a run --agent b -- true", Some("a")),
        ];
        for (line, expected) in cases {
            let matches = super::command().try_get_matches_from(line.split(' ')).unwrap();
            assert_eq!(agent(&matches).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn no_topic_is_wider_than_a_page_of_help() {
        for (name, text) in TOPICS {
            assert!(text.lines().all(|line| line.chars().count() <= 110), "{name}");
        }
    }
}
