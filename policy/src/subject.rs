//! A subject: what a question is about, with what the targets say of it.

use crate::target::Target;
use crate::{Operation, Question, Risk, Rules, Sensitivity};
use std::cell::OnceCell;

/// A question beside what the targets of a policy say of it, looked up when a rule first asks.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    rules: &'a Rules,
    question: Question<'a>,
    sensitivity: OnceCell<Option<Sensitivity>>,
}

impl<'a> Subject<'a> {
    pub(crate) const fn new(rules: &'a Rules, question: Question<'a>) -> Self {
        Self { rules, question, sensitivity: OnceCell::new() }
    }

    pub(crate) const fn question(&self) -> &Question<'a> {
        &self.question
    }

    /// The highest of the matching targets, or what the policy says of what none of them grades.
    pub(crate) fn sensitivity(&self) -> Sensitivity {
        self.graded().unwrap_or(self.rules.defaults.ungraded)
    }

    /// The highest of the matching targets.
    pub(crate) fn graded(&self) -> Option<Sensitivity> {
        *self.sensitivity.get_or_init(|| {
            let mut highest = None;
            self.each_target(|target| highest = highest.max(Some(target.sensitivity)));
            highest
        })
    }

    /// What an operation risks here.
    pub(crate) fn risk(&self, operation: Operation) -> Risk {
        let risk = self.rules.risk(operation).unwrap_or_else(|| operation.risk());
        risk.with(self.sensitivity())
    }

    /// Calls `each` with every value that a matching target gives the label.
    pub(crate) fn each_label(&self, name: &str, mut each: impl FnMut(&str)) {
        self.each_target(|target| {
            if let Some(value) = target.labels.get(name) {
                each(value);
            }
        });
    }

    /// Calls `each` with every target that the question is about, some more than once.
    pub(crate) fn each_target(&self, mut each: impl FnMut(&Target)) {
        let Question { vault, path, .. } = self.question;
        self.rules.target_index.visit_place(&self.question, |place| {
            if let Some(target) = self.rules.targets.get(place)
                && target.paths.matches(vault, path)
            {
                each(target);
            }
        });
    }
}
