//! Factors: the evidence that an answer takes.

/// A class of evidence for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Factor {
    /// The approver's own process on the control socket, attested.
    Local,
    /// A signature over the request's binding.
    Signed,
    /// Such a signature with a touch.
    Hardware,
}

/// Some classes of evidence, of which any one is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnyFactor(u8);

/// Everything an answer must bring: one of each of some sets. Small enough to be copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Factors(u8);

impl Factor {
    /// Every class, from weak to strong.
    pub const ALL: [Self; 3] = [Self::Local, Self::Signed, Self::Hardware];

    /// The word of the policy.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Signed => "signed",
            Self::Hardware => "hardware",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u32
    }
}

impl AnyFactor {
    /// Whether this one is enough.
    pub const fn contains(self, factor: Factor) -> bool {
        self.0 & factor.bit() != 0
    }

    /// Those that are enough, from weak to strong.
    pub fn iter(self) -> impl Iterator<Item = Factor> {
        Factor::ALL.into_iter().filter(move |factor| self.contains(*factor))
    }
}

impl Factors {
    /// One of these is enough.
    pub fn any(factors: impl IntoIterator<Item = Factor>) -> Self {
        let set = factors.into_iter().fold(0, |set, factor| set | factor.bit());
        Self(1 << set)
    }

    /// Each of these is needed.
    pub fn all(factors: impl IntoIterator<Item = Factor>) -> Self {
        factors.into_iter().fold(Self::default(), |all, factor| all.and(Self::any([factor])))
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// The sets, of each of which one is needed.
    pub fn iter(self) -> impl Iterator<Item = AnyFactor> {
        (1..8).filter(move |set| self.0 & (1 << set) != 0).map(AnyFactor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(factors: Factors) -> Vec<Vec<&'static str>> {
        factors.iter().map(|any| any.iter().map(Factor::name).collect()).collect()
    }

    #[test]
    fn any_is_one_of_a_set_and_all_is_each() {
        use Factor::{Hardware, Local, Signed};
        assert_eq!(words(Factors::any([Hardware, Signed])), [["signed", "hardware"]]);
        assert_eq!(words(Factors::all([Signed, Local])), [["local"], ["signed"]]);
        let sum = Factors::any([Local]).and(Factors::any([Local])).and(Factors::any(Factor::ALL));
        assert_eq!(words(sum), [vec!["local"], vec!["local", "signed", "hardware"]]);
        assert_eq!(words(Factors::default()), [[""; 0]; 0]);
    }
}
