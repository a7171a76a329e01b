//! Completions of the shell that one works with.

use super::{Finding, Grade};
use std::path::{Path, PathBuf};

/// A shell, where completions for it lie, and which of that is the user's own.
struct Shell {
    name: &'static str,
    system: &'static [&'static str],
    own: &'static str,
}

const SHELLS: [Shell; 3] = [
    Shell {
        name: "bash",
        system: &[
            "/usr/share/bash-completion/completions/ward",
            "/usr/local/share/bash-completion/completions/ward",
            "/etc/bash_completion.d/ward",
        ],
        own: ".local/share/bash-completion/completions/ward",
    },
    Shell {
        name: "zsh",
        system: &[
            "/usr/share/zsh/vendor-completions/_ward",
            "/usr/share/zsh/site-functions/_ward",
            "/usr/local/share/zsh/site-functions/_ward",
        ],
        own: ".zsh/completions/_ward",
    },
    Shell {
        name: "fish",
        system: &[
            "/usr/share/fish/vendor_completions.d/ward.fish",
            "/usr/share/fish/completions/ward.fish",
            "/etc/fish/completions/ward.fish",
        ],
        own: ".config/fish/completions/ward.fish",
    },
];

/// That they are not there, for the login shell `shell` of who lives at `home`.
pub(super) fn completions(shell: Option<&Path>, home: Option<&Path>) -> Option<Finding> {
    let name = shell?.file_name()?;
    let shell = SHELLS.iter().find(|shell| name == shell.name)?;
    let own = home.map(|home| home.join(shell.own));
    let mut places = shell.system.iter().map(PathBuf::from).chain(own.clone());
    if places.any(|place| place.exists()) {
        return None;
    }
    let own = own.unwrap_or_else(|| PathBuf::from(shell.system[0]));
    let folder = own.parent().unwrap_or(&own).display();
    Some(Finding {
        name: "completions",
        grade: Grade::Note,
        found: format!("there are no completions for {}", shell.name),
        means: "the Tab key completes no command of ward",
        next: format!(
            "mkdir -p {folder} && ward generate completions {} > {}",
            shell.name,
            own.display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_are_missed_for_a_shell_that_can_have_them_until_they_are_there() {
        let home = tempfile::tempdir().unwrap();
        let of = |shell: &str| completions(Some(Path::new(shell)), Some(home.path()));
        if Path::new(SHELLS[2].system[0]).exists() {
            // The package is installed here.
            return;
        }
        let missing = of("/usr/bin/fish").unwrap();
        assert!(missing.next.ends_with("/.config/fish/completions/ward.fish"), "{missing:?}");
        let place = home.path().join(SHELLS[2].own);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::File::create(place).unwrap();
        assert_eq!(of("/usr/bin/fish"), None);
        assert_eq!((of("/bin/dash"), completions(None, None)), (None, None));
    }
}
