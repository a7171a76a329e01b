//! An explanation: which rule decides, and what else would have to be true for others to.
//!
//! For who may know the rules. Slow: it looks at every rule, and reads the text again.

use crate::case::Outcome;
use crate::client::{Client, Clients};
use crate::decision::Voices;
use crate::document::Document;
use crate::pattern::Patterns;
use crate::rule::{Rank, Rule, Verdict};
use crate::subject::Subject;
use crate::{Caller, Denial, Grade, LocalTime, Operation, Question, Rules, Ticket};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many rules that do not match are told.
const NEAREST: usize = 3;

/// Why a question comes out as it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What comes out.
    pub outcome: Outcome,
    /// The clients that the caller is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// Each operation, which is decided alone.
    pub operations: Vec<Heard>,
}

/// What the rules say of one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The operation.
    pub operation: String,
    /// `allow`, `approve` or `deny`.
    pub says: String,
    /// The rules that say so; `clients.NAME` for a role; none where no rule matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Rules that match too, and count less.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overruled: Vec<Overruled>,
    /// Rules that would give more if they matched, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<Nearest>,
}

/// A rule that matches, and counts less than another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overruled {
    /// The rule.
    pub rule: String,
    /// What it says.
    pub says: String,
    /// Its priority.
    pub priority: i64,
}

/// A rule that does not match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nearest {
    /// The rule.
    pub rule: String,
    /// What it would say.
    pub says: String,
    /// What else would have to be true, all of it.
    pub unmet: Vec<Unmet>,
}

/// Something that a rule demands and the question does not show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmet {
    /// What: `ticket`, `clients.claude.exe`.
    pub what: String,
    /// What it is; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
    /// What it must be, as the policy has it.
    pub must_be: String,
}

impl Unmet {
    /// Whether the rule speaks of another operation or secret.
    fn is_about_another(&self) -> bool {
        ["ops", "path", "targets"].contains(&&*self.what)
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, is, must_be } = self;
        match is {
            Some(is) => write!(formatter, "{what} is {is}, not {must_be}"),
            None => write!(formatter, "{what} is not known; it must be {must_be}"),
        }
    }
}

impl Rules {
    /// Why `question` of `caller` comes out as it does at `time`.
    pub fn explain(
        &self,
        caller: &Caller,
        question: &Question<'_>,
        time: LocalTime,
    ) -> Explanation {
        let asker = Asker {
            rules: self,
            document: Document::of(self),
            caller,
            subject: Subject::new(self, *question),
            time,
        };
        Explanation {
            outcome: self.outcome(caller, question, time),
            clients: self.clients_of(caller).into_iter().map(str::to_owned).collect(),
            operations: question.operations.iter().map(|each| asker.hear(each)).collect(),
        }
    }
}

/// Who asks what, of which policy.
struct Asker<'a> {
    rules: &'a Rules,
    document: Document,
    caller: &'a Caller,
    subject: Subject<'a>,
    time: LocalTime,
}

impl Asker<'_> {
    fn hear(&self, operation: Operation) -> Heard {
        let mut voices = Voices::default();
        let heard = self.rules.hear(operation, self.caller, &self.subject, self.time, &mut voices);
        let winners = self.rules.spoken_by(&voices);
        let (names, rank): (Vec<String>, Option<Rank>) = match (&heard, voices.role) {
            (Ok(()), Some(role)) => (vec![role.to_string()], None),
            (Err(Denial::Rule(name)), _) => (vec![name.to_string()], self.rank_of(name)),
            (_, _) => (winners.map(|rule| rule.name.to_string()).collect(), self.highest(&voices)),
        };
        let asks = self.rules.spoken_by(&voices).any(|rule| rule.terms().is_some());
        let owner = self.rules.human_owned.of(self.subject.question());
        let owner = owner.filter(|_| heard.is_ok() && !asks);
        let says = match &heard {
            Err(_) => "deny",
            Ok(()) if asks || owner.is_some() => "approve",
            Ok(()) => "allow",
        };
        let (matching, others): (Vec<&Rule>, Vec<&Rule>) = self
            .rules
            .rules
            .iter()
            .partition(|rule| rule.matches(self.caller, &self.subject, operation, self.time));
        let overruled = matching.into_iter().filter(|rule| !names.contains(&rule.name.to_string()));
        let is_listed = self.rules.risk(operation).is_some();
        let gives_more = |rule: &&Rule| {
            says != "allow"
                && is_listed
                && !rule.rank().is_deny()
                && rank.is_none_or(|rank| rule.rank() > rank)
        };
        let mut nearest: Vec<Nearest> = others
            .into_iter()
            .filter(gives_more)
            .map(|rule| Nearest {
                rule: rule.name.to_string(),
                says: rule.says().to_owned(),
                unmet: self.unmet(rule, operation),
            })
            .collect();
        // One that speaks of something else is far off, however little that is.
        nearest
            .sort_by_key(|rule| (rule.unmet.iter().any(Unmet::is_about_another), rule.unmet.len()));
        nearest.truncate(NEAREST);
        let overruled = overruled.map(Overruled::of).collect();
        Heard {
            operation: operation.to_string(),
            says: says.to_owned(),
            overruled,
            rules: names.into_iter().chain(owner.map(ToString::to_string)).collect(),
            nearest,
        }
    }

    fn rank_of(&self, name: &str) -> Option<Rank> {
        self.rules.rules.iter().find(|rule| &*rule.name == name).map(Rule::rank)
    }

    fn highest(&self, voices: &Voices<'_>) -> Option<Rank> {
        self.rules.spoken_by(voices).map(Rule::rank).max()
    }

    /// Everything that a rule demands and is not so; nothing when it matches.
    fn unmet(&self, rule: &Rule, operation: Operation) -> Vec<Unmet> {
        let mut unmet = Vec::new();
        let question = self.subject.question();
        let mut demand = |what: &str, is: Option<String>| {
            let must_be = self.document.of_rule(&rule.name, what);
            let must_be = must_be.unwrap_or_else(|| "absent".to_owned());
            unmet.push(Unmet { what: what.to_owned(), is, must_be });
        };
        if !rule.operations.contains(operation) {
            demand("ops", Some(operation.to_string()));
        }
        let place = || Some(place(question));
        let is_in = |paths: &Patterns| paths.matches(question.vault, question.path);
        if rule.paths.as_ref().is_some_and(|paths| !is_in(paths)) {
            demand("path", place());
        }
        if !rule.targets.is_empty() && !rule.targets.iter().any(|target| is_in(&target.paths)) {
            demand("targets", place());
        }
        let conditions = &rule.conditions;
        if !conditions.include(self.time) {
            demand("when", Some(self.time.to_string()));
        }
        for key in conditions.unmet(self.caller, &self.subject, operation, rule.manner()) {
            let is = match key {
                "risk" => Some(self.subject.risk(operation).to_string()),
                "sandbox" => self.caller.sandbox().map(str::to_owned),
                "where" => Some(self.labels()),
                _ => None,
            };
            demand(key, is);
        }
        if rule.grade.is_some_and(|least| self.caller.grade() < least) {
            demand("grade", Some(self.caller.grade().name().to_owned()));
        }
        if !conditions.admit_ticket(question.ticket) {
            let is = question.ticket.map_or("absent", Ticket::as_str).to_owned();
            let must_be = if question.ticket.is_some() { "absent" } else { "given" }.to_owned();
            unmet.push(Unmet { what: "ticket".to_owned(), is: Some(is), must_be });
        }
        unmet.extend(self.unmet_of_clients(rule));
        unmet
    }

    /// What the client of the rule that the caller is nearest to demands.
    fn unmet_of_clients(&self, rule: &Rule) -> Vec<Unmet> {
        let least = rule.least_grade();
        match &rule.clients {
            Clients::Everybody => self.unmet_grade("grade", least).into_iter().collect(),
            Clients::AnyOf(clients) => {
                let all = clients.iter().map(|client| self.unmet_of_client(client, least));
                all.min_by_key(Vec::len).unwrap_or_default()
            }
        }
    }

    fn unmet_of_client(&self, client: &Client, least: Option<Grade>) -> Vec<Unmet> {
        let table = client.table();
        let mut unmet: Vec<Unmet> = client
            .unmet(self.caller)
            .map(|fact| Unmet {
                what: format!("{table}.{}", fact.name),
                is: fact.shown_by(self.caller),
                must_be: self.document.of_client(client.name(), fact.name).unwrap_or_default(),
            })
            .collect();
        // A deny rule speaks to whoever shows the facts.
        if least.is_some() && !self.caller.speaks_as(client.name()) {
            unmet.push(Unmet {
                what: "acting".to_owned(),
                is: self.caller.acting_client().map(ToString::to_string),
                must_be: format!("{:?}", client.name()),
            });
        }
        let least = least.map(|least| client.least_grade(least));
        unmet.extend(self.unmet_grade(&format!("{table}.grade"), least));
        unmet
    }

    fn unmet_grade(&self, what: &str, least: Option<Grade>) -> Option<Unmet> {
        let least = least.filter(|least| self.caller.grade() < *least)?;
        let must_be = format!("{:?}", least.name());
        Some(Unmet {
            what: what.to_owned(),
            is: Some(self.caller.grade().name().to_owned()),
            must_be,
        })
    }

    /// The labels of what it is about.
    fn labels(&self) -> String {
        let mut labels = Vec::new();
        self.subject.each_target(|target| {
            labels.extend(target.labels.iter().map(|(name, value)| format!("{name} = {value:?}")));
        });
        labels.sort();
        labels.dedup();
        if labels.is_empty() { "without labels".to_owned() } else { labels.join(", ") }
    }
}

impl Overruled {
    fn of(rule: &Rule) -> Self {
        Self { rule: rule.name.to_string(), says: rule.says().to_owned(), priority: rule.priority }
    }
}

impl Rule {
    /// The word of its `decide`.
    pub(crate) const fn says(&self) -> &'static str {
        match self.verdict {
            Verdict::Allow => "allow",
            Verdict::Approve(_) => "approve",
            Verdict::Deny => "deny",
        }
    }
}

/// `vault:path`, or as much of it as there is.
fn place(question: &Question<'_>) -> String {
    match (question.vault, question.path) {
        (Some(vault), Some(path)) => format!("{vault}:{path}"),
        (Some(vault), None) => format!("the vault {vault}"),
        (None, Some(path)) => path.to_string(),
        (None, None) => "absent".to_owned(),
    }
}
