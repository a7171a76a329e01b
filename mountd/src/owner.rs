//! The owner of a vault: whether an agent may mount it without a human.

use serde::{Deserialize, Serialize};

/// Whose a vault is, as `ward vault init --owner` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// Whoever the policy lets mount it does so without a human.
    Agent,
    /// Only an approver mounts it alone; everybody else takes an approver's yes for each mount.
    #[default]
    Human,
}

impl Owner {
    /// The word of the command line and the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Human => "human",
        }
    }

    /// The label of the vault's header, which its key authenticates.
    pub(crate) fn label(self) -> String {
        format!("owner={}", self.name())
    }

    /// The owner in a label; a label that names none is that of a human, the stricter one.
    pub(crate) fn of_label(label: &str) -> Self {
        if label == Self::Agent.label() { Self::Agent } else { Self::Human }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_back_from_its_label_and_anything_else_is_a_human() {
        for owner in [Owner::Agent, Owner::Human] {
            assert_eq!(Owner::of_label(&owner.label()), owner);
        }
        for label in ["", "owner=", "agent", "owner=agent "] {
            assert_eq!(Owner::of_label(label), Owner::Human, "{label}");
        }
    }
}
