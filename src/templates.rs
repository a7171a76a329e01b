//! Templates: whole policies for a kind of machine, and what single tools need in any policy.

use nix::unistd::getuid;
use ward_policy::Operation;

/// A template by its name.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    /// Whether it is a policy of its own.
    pub(crate) is_whole: bool,
    text: &'static str,
}

macro_rules! templates {
    ($($name:literal $is_whole:literal,)*) => {
        [$(Template {
            name: $name,
            is_whole: $is_whole,
            text: include_str!(concat!("templates/", $name, ".toml")),
        },)*]
    };
}

/// All of them.
pub(crate) static TEMPLATES: [Template; 13] = templates![
    "laptop" true, "agent-host" true, "ci" true, "ssh" false, "aws" false, "gcloud" false, "gh" false,
    "npm" false, "docker" false, "kube" false, "psql" false, "git" false, "claude" false,
];

impl Template {
    /// The template of that name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        TEMPLATES.iter().find(|template| template.name == name)
    }

    /// Its text, for who asks.
    pub(crate) fn text(&self) -> String {
        let line = |operation: &Operation| {
            let key = format!("\"{operation}\"");
            format!("{key:<22} = \"{}\"\n", operation.risk())
        };
        let operations: String = Operation::ALL.iter().map(line).collect();
        self.text
            .replace("{OPS}\n", &format!("{operations}\n"))
            .replace("{UID}", &getuid().to_string())
    }

    /// What it is about: its first sentence.
    pub(crate) fn about(&self) -> &str {
        let line = self.text.lines().next().unwrap_or_default();
        line.trim_start_matches("# ").split(". ").next().unwrap_or_default().trim_end_matches('.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_layout::laid_out;
    use ward_policy::{Digest, Finding, RootKind, Rules, UserId, default_policy};

    fn load(text: &str) -> Rules {
        Rules::load(text, Digest::from_bytes([0; 32]))
            .unwrap_or_else(|fault| panic!("{fault}\n{text}"))
    }

    #[test]
    fn whole_templates_load_are_laid_out_and_have_nothing_odd() {
        for template in TEMPLATES.iter().filter(|template| template.is_whole) {
            let text = template.text();
            let odd: Vec<Finding> = load(&text).lint();
            assert_eq!(odd, [], "{}", template.name);
            assert_eq!(laid_out(&text).unwrap(), text, "{}", template.name);
        }
    }

    #[test]
    fn those_of_tools_go_into_the_policy_of_a_new_root_all_together() {
        let mut text = default_policy(UserId(1000), RootKind::System);
        for template in TEMPLATES.iter().filter(|template| !template.is_whole) {
            text.push_str(&format!("\n{}", template.text()));
        }
        assert_eq!(load(&text).lint(), []);
    }
}
