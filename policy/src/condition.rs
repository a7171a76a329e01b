//! Conditions: what a rule demands beyond who, what and where.

use crate::glob::Glob;
use crate::pattern::Patterns;
use crate::rule::Vocabulary;
use crate::rule_text::{Fault, Field, Table};
use crate::subject::Subject;
use crate::target::{Target, read_patterns};
use crate::window::Window;
use crate::{Caller, LocalTime, Operation, Risk, SecretPath, Ticket, VaultName};
use std::sync::Arc;

/// The conditions of one rule, all of which must hold. An absent fact never matches.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// Any of them; none is always.
    pub(crate) when: Vec<Window>,
    pub(crate) ticket: Option<bool>,
    /// `where`: each.
    fields: Vec<FieldDemand>,
    /// What every secret that the daemon derived must match.
    secrets: Option<Patterns>,
    /// Effective risks, of which any.
    risks: Option<Vec<Risk>>,
    /// Names of profiles, of which any.
    sandboxes: Option<Vec<Arc<str>>>,
}

/// A label that must be there, with one of some values.
#[derive(Debug, PartialEq, Eq)]
struct FieldDemand {
    name: Arc<str>,
    values: Vec<Glob>,
}

/// How much it takes for a field that has several values, of targets that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// One value that matches is enough: for a no.
    Wary,
    /// Every value must match: for a yes.
    Sure,
}

impl Conditions {
    /// Reads them from a rule.
    pub(crate) fn read(rule: &Table<'_>, vocabulary: &Vocabulary<'_>) -> Result<Self, Fault> {
        Ok(Self {
            when: match rule.field("when") {
                Some(when) => {
                    when.list()?.into_iter().map(read_window).collect::<Result<_, _>>()?
                }
                None => Vec::new(),
            },
            ticket: rule.field("ticket").map(Field::flag).transpose()?,
            fields: rule.field("where").map_or(Ok(Vec::new()), read_fields)?,
            secrets: rule.field("secrets").map(read_patterns).transpose()?,
            risks: rule.field("risk").map(read_risks).transpose()?,
            sandboxes: rule
                .field("sandbox")
                .map(|field| vocabulary.sandboxes_of(field))
                .transpose()?,
        })
    }

    /// Whether all of them hold.
    pub(crate) fn hold(
        &self,
        caller: &Caller,
        subject: &Subject<'_>,
        operation: Operation,
        time: LocalTime,
        manner: Manner,
    ) -> bool {
        self.admit_ticket(subject.question().ticket)
            && self.include(time)
            && self.hold_whenever(caller, subject, operation, manner)
    }

    /// Whether all hold but those about the hour and the ticket.
    pub(crate) fn hold_whenever(
        &self,
        caller: &Caller,
        subject: &Subject<'_>,
        operation: Operation,
        manner: Manner,
    ) -> bool {
        self.admit_session(caller)
            && self.fields.iter().all(|field| field.holds(subject, manner))
            && self.risks.as_ref().is_none_or(|risks| risks.contains(&subject.risk(operation)))
            && self.secrets.as_ref().is_none_or(|patterns| patterns.hold_all(subject))
    }

    /// Those of a rule that do not hold, by their keys, but for the hour and the ticket.
    pub(crate) fn unmet(
        &self,
        caller: &Caller,
        subject: &Subject<'_>,
        operation: Operation,
        manner: Manner,
    ) -> impl Iterator<Item = &'static str> {
        let has_labels = self.fields.iter().all(|field| field.holds(subject, manner));
        let has_risk =
            self.risks.as_ref().is_none_or(|risks| risks.contains(&subject.risk(operation)));
        let has_secrets = self.secrets.as_ref().is_none_or(|patterns| patterns.hold_all(subject));
        let all = [
            ("sandbox", self.admit_session(caller)),
            ("where", has_labels),
            ("risk", has_risk),
            ("secrets", has_secrets),
        ];
        all.into_iter().filter_map(|(key, holds)| (!holds).then_some(key))
    }

    /// Whether the caller's session is confined to a profile that is asked for.
    pub(crate) fn admit_session(&self, caller: &Caller) -> bool {
        let is_in = |profiles: &Vec<Arc<str>>| {
            caller.sandbox().is_some_and(|own| profiles.iter().any(|profile| **profile == *own))
        };
        self.sandboxes.as_ref().is_none_or(is_in)
    }

    /// Whether they hold at this time.
    pub(crate) fn include(&self, time: LocalTime) -> bool {
        self.when.is_empty() || self.when.iter().any(|window| window.contains(time))
    }

    /// Whether the ticket, or its absence, is what is asked for.
    pub(crate) fn admit_ticket(&self, ticket: Option<&Ticket>) -> bool {
        self.ticket.is_none_or(|wanted| wanted == ticket.is_some())
    }

    /// Whether they hold wherever those of `other` do. May say no where yes were true.
    pub(crate) fn cover(&self, other: &Self) -> bool {
        (self.when.is_empty() || self.when == other.when)
            && (self.ticket.is_none() || self.ticket == other.ticket)
            && self.fields.iter().all(|field| other.fields.contains(field))
            && (self.secrets.is_none() || self.secrets == other.secrets)
            && self.risks.as_ref().is_none_or(|risks| {
                let others = other.risks.as_deref().unwrap_or(&Risk::ALL);
                others.iter().all(|risk| risks.contains(risk))
            })
            && (self.sandboxes.is_none() || self.sandboxes == other.sandboxes)
    }

    /// Whether they may hold for some name below `folder`, by what targets say of it.
    pub(crate) fn reach_below(
        &self,
        targets: &[Arc<Target>],
        (vault, folder): (&VaultName, Option<&SecretPath>),
    ) -> bool {
        self.secrets.as_ref().is_none_or(|patterns| patterns.reaches_below(vault, folder))
            && self.fields.iter().all(|field| {
                targets.iter().any(|target| {
                    field.is_label_of(target) && target.paths.reaches_below(vault, folder)
                })
            })
    }

    /// Whether they say nothing about single names, so that they hold for all of a folder or none.
    pub(crate) const fn are_the_same_for_all_names(&self) -> bool {
        self.fields.is_empty() && self.secrets.is_none() && self.risks.is_none()
    }

    /// A label that no target has in any of the values asked for.
    pub(crate) fn label_of_none(&self, targets: &[Arc<Target>]) -> Option<&str> {
        let of_none = |field: &&FieldDemand| !targets.iter().any(|each| field.is_label_of(each));
        self.fields.iter().find(of_none).map(|field| &*field.name)
    }

    /// Whether a sandbox is asked for, which no session has yet.
    pub(crate) const fn ask_for_a_sandbox(&self) -> bool {
        self.sandboxes.is_some()
    }
}

impl FieldDemand {
    fn takes(&self, value: &str) -> bool {
        self.values.iter().any(|glob| glob.matches(value.as_bytes()))
    }

    fn is_label_of(&self, target: &Target) -> bool {
        target.labels.get(&self.name).is_some_and(|value| self.takes(value))
    }

    fn holds(&self, subject: &Subject<'_>, manner: Manner) -> bool {
        let (mut has_match, mut has_other) = (false, false);
        subject.each_label(&self.name, |value| {
            let matches = self.takes(value);
            has_match |= matches;
            has_other |= !matches;
        });
        has_match && (manner == Manner::Wary || !has_other)
    }
}

impl Patterns {
    /// Whether the question names secrets, and each of them matches.
    fn hold_all(&self, subject: &Subject<'_>) -> bool {
        let question = subject.question();
        let its_own = question.vault.and(question.path).map_or(&[][..], std::slice::from_ref);
        let named = if question.secrets.is_empty() { its_own } else { question.secrets };
        let matches = |secret| self.matches(question.vault, Some(secret));
        !named.is_empty() && named.iter().all(matches)
    }
}

fn read_window(field: Field<'_>) -> Result<Window, Fault> {
    Window::parse(field.text()?).map_err(|message| field.fault(message))
}

/// Reads `where = { env = "prod", team = ["payments", "billing"] }`.
fn read_fields(field: Field<'_>) -> Result<Vec<FieldDemand>, Fault> {
    let table = field.table()?;
    if table.is_empty() {
        return Err(field.fault("`where` asks for nothing; name a label, as { env = \"prod\" }"));
    }
    let value = |item: Field<'_>| Glob::parse(item.text()?).map_err(|message| item.fault(message));
    let demand = |field: Field<'_>| {
        let values = field.one_or_more()?.into_iter().map(value).collect::<Result<_, _>>()?;
        Ok(FieldDemand { name: field.key_as_name()?.into(), values })
    };
    table.fields().into_iter().map(demand).collect()
}

fn read_risks(field: Field<'_>) -> Result<Vec<Risk>, Fault> {
    let risk = |item: Field<'_>| item.choice(&Risk::ALL.map(|risk| (risk.name(), risk)));
    field.list()?.into_iter().map(risk).collect()
}
