//! Policies of three shapes and any size, and questions about them: some that a rule permits, some
//! that none does.

use std::fmt::Write as _;

/// How the rules of a policy differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each is for another client, and the paths are the same.
    ManyClients,
    /// All are for one client, and each is for another path.
    ManyPaths,
    /// All are for one client, by patterns of which many match the same path.
    OverlappingGlobs,
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The uid of its client.
    pub(crate) uid: u32,
    /// Its pattern.
    pub(crate) pattern: String,
}

/// One question: may this uid read that path.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Who asks.
    pub(crate) uid: u32,
    /// What for.
    pub(crate) path: String,
}

/// The uid of the one client.
const ONE: u32 = 1000;

impl Shape {
    /// Every shape.
    pub(crate) const ALL: [Self; 3] = [Self::ManyClients, Self::ManyPaths, Self::OverlappingGlobs];

    /// What it is called in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ManyClients => "many clients",
            Self::ManyPaths => "one client, many paths",
            Self::OverlappingGlobs => "many overlapping globs",
        }
    }

    /// Its rules.
    pub(crate) fn lines(self, count: u32) -> Vec<Line> {
        (0..count).map(|number| self.line(number)).collect()
    }

    fn line(self, number: u32) -> Line {
        let (tens, rest) = (number / 10, number % 10);
        match self {
            Self::ManyClients => {
                Line { uid: 10_000 + number, pattern: format!("team-{rest}/shared/**") }
            }
            Self::ManyPaths => Line {
                uid: ONE,
                pattern: format!("app-{}/service-{rest}/env-{tens}", number / 100),
            },
            Self::OverlappingGlobs => {
                let pattern = match number % 5 {
                    0 => format!("**/name-{}*", number / 5),
                    1 => format!("zone-{}/**", number / 25),
                    2 => format!("*/group-{}/**", number / 10),
                    3 => format!("**/*-{}.pem", number / 5),
                    _ => format!("zone-{}/*/name-?{}*", number / 50, number % 50),
                };
                Line { uid: ONE, pattern }
            }
        }
    }

    /// As many questions, of which about half are permitted.
    pub(crate) fn questions(self, rules: u32, count: u32) -> Vec<Asked> {
        // Far from each other, and from the order of the rules.
        let number = |turn: u32| turn.wrapping_mul(7919) % rules;
        let ask = |turn: u32| {
            let number = number(turn);
            let (tens, rest) = (number / 10, number % 10);
            let miss = if turn.is_multiple_of(2) { "" } else { "x" };
            match self {
                Self::ManyClients => Asked {
                    uid: 10_000 + number,
                    path: format!("team-{rest}/{miss}shared/db/password"),
                },
                Self::ManyPaths => Asked {
                    uid: ONE,
                    path: format!("app-{}/service-{rest}/{miss}env-{tens}", number / 100),
                },
                Self::OverlappingGlobs => Asked {
                    uid: ONE,
                    path: format!(
                        "{miss}zone-{}/{miss}group-{tens}/{miss}name-{}-{}.pem{miss}",
                        number / 25,
                        number / 5,
                        number / 5
                    ),
                },
            }
        };
        (0..count).map(ask).collect()
    }
}

/// The policy of these lines, in our language.
pub(crate) fn policy(lines: &[Line]) -> String {
    let mut text =
        "version = 1\n[ops]\n\"file.list\" = \"low\"\n\"file.read\" = \"medium\"\n".to_owned();
    let mut uids: Vec<u32> = lines.iter().map(|line| line.uid).collect();
    uids.sort_unstable();
    uids.dedup();
    for uid in uids {
        let _ends_in_memory = writeln!(text, "[clients.c{uid}]\nuid = {uid}");
    }
    for (number, Line { uid, pattern }) in lines.iter().enumerate() {
        let _ends_in_memory = writeln!(
            text,
            "[[rule]]\nname = \"r{number}\"\nclients = [\"c{uid}\"]\n\
             ops = [\"file.list\", \"file.read\"]\npath = [\"{pattern}\"]\ndecide = \"allow\""
        );
    }
    text
}
