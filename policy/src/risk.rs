//! Risk: how bad a misuse would be, by what is done and by what it is done to.

use std::fmt;

/// How bad it is when something is misused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Shows names or states.
    Low,
    /// Shows a value.
    Medium,
    /// Changes a value.
    High,
    /// Changes who may do what, or destroys.
    Critical,
}

/// How bad it is when somebody else sees a secret, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sensitivity {
    /// It is none.
    Public,
    /// What no target grades.
    Internal,
    /// The asker's own yes never suffices.
    Restricted,
    /// The same, and worse.
    Critical,
}

impl Risk {
    /// Every class, from least to most.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word of the policy and the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// What an operation of this class risks with a secret of that sensitivity.
    pub const fn with(self, sensitivity: Sensitivity) -> Self {
        match (self, sensitivity) {
            (Self::Low, Sensitivity::Public | Sensitivity::Internal)
            | (Self::Medium, Sensitivity::Public) => Self::Low,
            (Self::Low, Sensitivity::Restricted)
            | (Self::Medium, Sensitivity::Internal)
            | (Self::High, Sensitivity::Public) => Self::Medium,
            (Self::Low, Sensitivity::Critical)
            | (Self::Medium, Sensitivity::Restricted)
            | (Self::High, Sensitivity::Internal)
            | (Self::Critical, Sensitivity::Public) => Self::High,
            (Self::Medium, Sensitivity::Critical)
            | (Self::High, Sensitivity::Restricted | Sensitivity::Critical)
            | (
                Self::Critical,
                Sensitivity::Internal | Sensitivity::Restricted | Sensitivity::Critical,
            ) => Self::Critical,
        }
    }
}

impl Sensitivity {
    /// Every grade, from least to most.
    pub const ALL: [Self; 4] = [Self::Public, Self::Internal, Self::Restricted, Self::Critical];

    /// The word of the policy and the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Restricted => "restricted",
            Self::Critical => "critical",
        }
    }

    /// Whether the asker's own yes never suffices.
    pub fn is_high(self) -> bool {
        self >= Self::Restricted
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for Sensitivity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_one_of_the_documents() {
        let row = |risk: Risk| Sensitivity::ALL.map(|sensitivity| risk.with(sensitivity).name());
        assert_eq!(row(Risk::Low), ["low", "low", "medium", "high"]);
        assert_eq!(row(Risk::Medium), ["low", "medium", "high", "critical"]);
        assert_eq!(row(Risk::High), ["medium", "high", "critical", "critical"]);
        assert_eq!(row(Risk::Critical), ["high", "critical", "critical", "critical"]);
    }

    #[test]
    fn what_no_target_grades_has_the_risk_of_the_operation() {
        for risk in Risk::ALL {
            assert_eq!(risk.with(Sensitivity::Internal), risk);
        }
    }

    #[test]
    fn more_of_either_is_never_less_of_both() {
        for (risk, more) in Risk::ALL.iter().zip(&Risk::ALL[1..]) {
            for (grade, higher) in Sensitivity::ALL.iter().zip(&Sensitivity::ALL[1..]) {
                assert!(more.with(*grade) >= risk.with(*grade));
                assert!(risk.with(*higher) >= risk.with(*grade));
            }
        }
    }
}
