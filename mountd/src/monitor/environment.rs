//! What the environment of a process says against it. It is the process's own memory, so it can only
//! lower a grade.

use super::file_view::Folders;
use ward_policy::Doubt;

/// Variables that make the loader, or the C library, run other code (ld.so(8), iconv(1)).
const LOADER: [&str; 3] = ["GCONV_PATH", "LD_AUDIT", "LD_PRELOAD"];
/// The one that names folders to find it in. Build tools set it for all they run, so it counts as a
/// path, unless code came by it. Folders of root are as good as the loader's own.
pub(super) const LIBRARIES: &str = "LD_LIBRARY_PATH";
/// Variables that say where a program looks for code, or what it runs first.
const PATHS: [&str; 32] = [
    "CLASSPATH",
    "CORECLR_PROFILER_PATH",
    "DOTNET_STARTUP_HOOKS",
    "GEM_PATH",
    "GIO_EXTRA_MODULES",
    "GIT_EXEC_PATH",
    "GTK_MODULES",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LUA_CPATH",
    "LUA_INIT",
    "LUA_PATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONPLATLIBDIR",
    "PYTHONSTARTUP",
    "QT_PLUGIN_PATH",
    "RUBYLIB",
    "RUBYOPT",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];
/// Variables by which a shell runs something else than its script.
const SHELL: [&str; 5] = ["BASHOPTS", "BASH_ENV", "ENV", "PS4", "SHELLOPTS"];
/// What the names of functions begin with that bash takes from its environment.
const SHELL_FUNCTION: &[u8] = b"BASH_FUNC_";

/// The variables of a process, one after the other, each ended by a zero byte.
#[derive(Debug)]
pub(super) struct Environment(Vec<u8>);

impl Environment {
    pub(super) const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What speaks against the process.
    pub(super) fn doubts(&self, folders: &mut Folders) -> Vec<Doubt> {
        // Looked at until one is doubted: a process can have as many of it as it likes.
        let mut are_libraries_of_root = true;
        let doubt = |(name, value): (&[u8], &[u8])| {
            let named = || String::from_utf8_lossy(name).into_owned();
            if is_among(name, &LOADER) {
                return Some(Doubt::LoaderVariable(named()));
            }
            let is_library = name == LIBRARIES.as_bytes();
            if is_library && are_libraries_of_root {
                are_libraries_of_root = are_all_of_root(value, folders);
            }
            let is_path = is_among(name, &PATHS) || (is_library && !are_libraries_of_root);
            is_path.then(|| Doubt::PathVariable(named()))
        };
        self.set().filter_map(doubt).collect()
    }

    /// Whether a shell may run something else than its script.
    pub(super) fn steers_shells(&self) -> bool {
        self.set().any(|(name, _)| is_among(name, &SHELL) || name.starts_with(SHELL_FUNCTION))
    }

    /// Names with their values, where there is one.
    fn set(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let variables = self.0.split(|byte| *byte == 0);
        variables.filter_map(|variable| {
            let end = variable.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (variable.get(..end)?, variable.get(end + 1..)?);
            (!value.is_empty()).then_some((name, value))
        })
    }
}

/// Whether a name is in a sorted list.
fn is_among(name: &[u8], sorted: &[&str]) -> bool {
    sorted.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok()
}

fn are_all_of_root(value: &[u8], folders: &mut Folders) -> bool {
    let is_of_root = |folder| {
        let view = folders.view(folder);
        view.is_ok_and(|view| {
            !view.takes_files_of_others() && !folders.let_others_change(folder, &view)
        })
    };
    // An empty part is the folder the process stands in.
    let mut parts = value.split(|byte| matches!(byte, b':' | b';'));
    parts.clone().all(|folder| folder.starts_with(b"/")) && parts.all(is_of_root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &[&str]) -> Vec<Doubt> {
        let bytes = variables.join("\0").into_bytes();
        Environment::new(bytes).doubts(&mut Folders::default())
    }

    #[test]
    fn loader_and_path_variables_are_named_and_others_are_not() {
        assert_eq!(told(&["HOME=/root", "PATH=/tmp", "LD_PRELOAD=", "PYTHONPATH"]), []);
        let doubts = told(&["LD_PRELOAD=/tmp/x.so", "NODE_OPTIONS=--require /tmp/x.js"]);
        let expected = [
            Doubt::LoaderVariable("LD_PRELOAD".to_owned()),
            Doubt::PathVariable("NODE_OPTIONS".to_owned()),
        ];
        assert_eq!(doubts, expected);
        assert!([LOADER.as_slice(), &PATHS, &SHELL].iter().all(|names| names.is_sorted()));
    }

    #[test]
    fn a_library_path_of_root_alone_is_none_to_doubt() {
        std::fs::metadata("/usr/lib").unwrap();
        assert_eq!(told(&["LD_LIBRARY_PATH=/usr/lib"]), []);
        for path in
            ["LD_LIBRARY_PATH=/usr/lib:/tmp", "LD_LIBRARY_PATH=:/usr/lib", "LD_LIBRARY_PATH=."]
        {
            assert_eq!(told(&[path]), [Doubt::PathVariable("LD_LIBRARY_PATH".to_owned())]);
        }
    }

    #[test]
    fn a_shell_is_steered_by_functions_too() {
        let steers = |variable: &str| Environment::new(variable.into()).steers_shells();
        assert!(steers("BASH_FUNC_curl%%=() { id; }") && steers("BASH_ENV=/tmp/x"));
        assert!(!steers("HOME=/root"));
    }
}
