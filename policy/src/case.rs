//! Cases: a caller and a question, written down, and what a policy should make of them.
//!
//! A case is TOML, strictly read. Tests of the engine and `ward policy test` read the same form.

use crate::described::{DescribedCaller, DescribedQuestion};
use crate::{
    Approvers, Caller, Decision, LocalTime, Obligations, Question, Rules, ScopeKind, Weekday,
};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::sync::Arc;

/// A file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// Where their policy is, from where the file lies.
    pub policy: Option<String>,
    /// The cases, in the order of the file.
    #[serde(rename = "case")]
    pub cases: Vec<Case>,
}

/// A caller and a question, and what should come out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, in a few words.
    pub name: Option<String>,
    /// Who asks.
    pub caller: DescribedCaller,
    /// What for.
    pub ask: DescribedQuestion,
    /// `Wed 12:00` in the zone of the policy, or a moment such as `2026-01-31T12:00:00Z`.
    #[serde(default = "noon")]
    time: String,
    /// What should come out.
    pub expect: Outcome,
}

/// What came out, or should; what is absent was not there, or is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// `permitted`, `denied`, `needs approval`, or of names `visible`, `hidden`, `writable`, `closed`.
    pub decision: String,
    /// The rules that decided, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<String>,
    /// `first_use`, `one_time` or `always`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<String>,
    /// Of each list one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<Vec<String>>,
    /// In seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<u64>,
    /// In seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<u64>,
    /// The clients that may answer; absent: any approver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Vec<String>>,
    /// How many of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
    /// `process`, `session` or `program`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whether a human is told that this is sensitive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitive: Option<bool>,
    /// The effective risk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<String>,
}

/// A part of an outcome by its name, and what it says.
type Part = (&'static str, Option<String>);

/// A part of an outcome that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The part.
    pub part: String,
    /// What the case says.
    pub expected: String,
    /// What the policy says.
    pub came_out: String,
}

/// What is wrong with a case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CaseError(pub(crate) String);

impl CaseFile {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// It is no TOML, or has a word that no case has: with the place, over several lines.
    pub fn read(text: &str) -> Result<Self, CaseError> {
        toml::from_str(text).map_err(|error| CaseError(error.to_string()))
    }
}

impl Case {
    /// What `rules` make of it.
    ///
    /// # Errors
    /// A name, path, ticket, grade or time in it is none.
    pub fn decide(&self, rules: &Rules) -> Result<Outcome, CaseError> {
        let asked = self.ask.read()?;
        let caller = self.caller.read()?;
        let time = rules.time(&self.time)?;
        let question = asked.question();
        let risk = rules.effective_risk(&question).map(|risk| risk.to_string());
        let word = |decision: &str| Outcome { decision: decision.to_owned(), ..Outcome::default() };
        let decided = match (&asked.vault, &asked.path, &asked.folder) {
            (Some(vault), None, Some(folder)) => {
                let is_writable = rules.may_write_in(&caller, vault, Some(folder), time);
                word(if is_writable { "writable" } else { "closed" })
            }
            (Some(vault), Some(path), None) if self.ask.operations.is_none() => {
                let is_visible = rules.is_visible(&caller, vault, path, time);
                word(if is_visible { "visible" } else { "hidden" })
            }
            (_, _, Some(_)) => return Err(wrong("`ask.folder` goes with `vault`, without `path`")),
            _ if self.ask.operations.is_none() => {
                return Err(wrong("`ask` needs `operations`, or a `vault` with a name in it"));
            }
            _ => return Ok(rules.outcome(&caller, &question, time)),
        };
        Ok(Outcome { risk, ..decided })
    }
}

impl Outcome {
    fn of(decision: Decision) -> Self {
        let names = |rules: &[Arc<str>]| rules.iter().map(ToString::to_string).collect();
        let word = |decision: &str| Self { decision: decision.to_owned(), ..Self::default() };
        match decision {
            Decision::Denied(denial) => Self { denial: Some(denial.to_string()), ..word("denied") },
            Decision::Permitted(permit) => {
                Self { rules: names(&permit.grant().rules), ..word("permitted") }
            }
            Decision::NeedsApproval(request) => Self {
                rules: names(&request.grant().rules),
                ..Self::demanding(request.obligations())
            },
        }
    }

    fn demanding(obligations: &Obligations) -> Self {
        let scope = match obligations.scope {
            ScopeKind::Process => "process",
            ScopeKind::Session => "session",
            ScopeKind::Program => "program",
        };
        let factors = obligations.factors.iter();
        Self {
            decision: "needs approval".to_owned(),
            require: Some(obligations.require.name().to_owned()),
            factors: factors.map(|any| any.iter().map(|one| one.name().into()).collect()).collect(),
            lease: Some(obligations.lease.as_secs()),
            hold: Some(obligations.hold.as_secs()),
            by: match &obligations.approvers {
                Approvers::AnyApprover => None,
                Approvers::Clients(names) => Some(names.iter().map(ToString::to_string).collect()),
            },
            quorum: Some(obligations.quorum),
            scope: Some(scope.to_owned()),
            sensitive: Some(obligations.is_sensitive),
            ..Self::default()
        }
    }

    /// What of this, which a case says, is not so in what came out. What the case does not say is
    /// not looked at.
    pub fn differences(&self, came_out: &Self) -> Vec<Difference> {
        let pairs = self.parts().into_iter().zip(came_out.parts());
        let differs = |((part, expected), (_, came_out)): (Part, Part)| {
            let expected = expected?;
            (came_out.as_ref() != Some(&expected)).then(|| Difference {
                part: part.to_owned(),
                expected,
                came_out: came_out.unwrap_or_else(|| "none".to_owned()),
            })
        };
        pairs.filter_map(differs).collect()
    }

    /// Each part by its name, in words.
    fn parts(&self) -> [Part; 12] {
        let list = |items: &[String]| Some(items.join(", ")).filter(|text| !text.is_empty());
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        let factors: Vec<String> = self.factors.iter().map(|any| any.join(" or ")).collect();
        [
            ("decision", Some(self.decision.clone())),
            ("rules", list(&self.rules)),
            ("denial", self.denial.clone()),
            ("require", self.require.clone()),
            ("factors", list(&factors)),
            ("lease", number(self.lease)),
            ("hold", number(self.hold)),
            ("by", self.by.as_deref().and_then(list)),
            ("quorum", number(self.quorum.map(u64::from))),
            ("scope", self.scope.clone()),
            ("sensitive", self.sensitive.map(|it| it.to_string())),
            ("risk", self.risk.clone()),
        ]
    }
}

impl Rules {
    /// What they make of a question, as a case tells it.
    pub fn outcome(&self, caller: &Caller, question: &Question<'_>, time: LocalTime) -> Outcome {
        let risk = self.effective_risk(question).map(|risk| risk.to_string());
        Outcome { risk, ..Outcome::of(self.evaluate(caller, question, time)) }
    }

    /// A time written as a minute of the week in their zone, or as a moment anywhere.
    ///
    /// # Errors
    /// The text is neither.
    pub fn time(&self, text: &str) -> Result<LocalTime, CaseError> {
        if let Ok(moment) = jiff::Timestamp::from_str(text) {
            return Ok(self.local_time(moment.as_second()));
        }
        minute_of_week(text).ok_or_else(|| {
            wrong(&format!(
                "{text} is no time; write it like \"Wed 12:00\" or 2026-01-31T12:00:00Z"
            ))
        })
    }
}

fn minute_of_week(text: &str) -> Option<LocalTime> {
    let (day, clock) = text.split_once(' ')?;
    let weekday = Weekday::from_name(day)?;
    let (hour, minute) = clock.split_once(':')?;
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    (hour < 24 && minute < 60).then_some(LocalTime { weekday, minute: hour * 60 + minute })
}

fn noon() -> String {
    "Wed 12:00".to_owned()
}

pub(crate) fn wrong(message: &str) -> CaseError {
    CaseError(message.to_owned())
}
