//! Every command there is, each once as it can succeed, for what must be so of all of them.

use crate::support::root::Root;
use crate::support::stage::replace;
use std::collections::BTreeSet;

/// A line for each command: its words, and words of a run. `{here}` is the folder of the test, `{root}` the
/// root, `{request}` a request that waits, `{grant}` a grant that lives, and `{entry}` an entry of the log.
const RUNS: &str = r#"
init                 | init --root {here}/another
daemon               | daemon --bind 127.0.0.1:0 --check
daemon start         | daemon start
daemon status        | daemon status
set                  | set a --value hunter2 --replace
get                  | get db/password --raw
list                 | list
revoke               | revoke a
history              | history db/password
restore              | restore db/password
secrets set          | secrets set b --value hunter2
secrets get          | secrets get db/password --raw
secrets list         | secrets list
secrets revoke       | secrets revoke b
secrets history      | secrets history db/password
secrets restore      | secrets restore db/password
secrets grant        | secrets grant db/password --to asker
secrets status       | secrets status db/password
request              | request asked --reason why
approve              | approve {request}
deny                 | deny {request}
requests list        | requests list
requests approve     | requests approve {request}
requests deny        | requests deny {request}
requests review      | requests review
approval-passphrase  | approval-passphrase --first --new-passphrase-file {here}/words
watch                | watch
grants list          | grants list
grants revoke        | grants revoke {grant}
env                  | env db/password PASSWORD
access paths         | access paths --agent owner
verify               | verify
check                | check file.read db/password
plan                 | plan {here}/plan.toml
explain              | explain {entry}
run                  | run --agent asker -- /bin/true
import gloves        | import gloves {here}/gloves --apply
import pass          | import pass {here}/pass --apply
import dotenv        | import dotenv {here}/env --apply
gpg create           | gpg create --home {here}/gnupg --no-passphrase
gpg fingerprint      | gpg fingerprint --home {here}/gnupg
status               | status
whoami               | whoami
doctor               | doctor
vault init           | vault init new
vault mount          | vault mount default {here}/mount
vault ask-file       | vault ask-file default --file db/password --reason why
vault extend         | vault extend default --ttl 3h
vault exec           | vault exec default -- /bin/true
vault unmount        | vault unmount default
vault list           | vault list
vault status         | vault status default
vault info           | vault info default
vault compact        | vault compact default
vault fsck           | vault fsck new
vault export         | vault export default {here}/export
vault import         | vault import default {here}/import
vault accept-restore | vault accept-restore default
vault key list       | vault key list default
vault key add        | vault key add default --slot recovery
vault key remove     | vault key remove default 1
vault rekey          | vault rekey default
vault header backup  | vault header backup {here}/header
vault header restore | vault header restore {here}/header
audit                | audit
audit show           | audit show
audit verify         | audit verify
audit ship           | audit ship
audit rotate-key     | audit rotate-key
audit compromise     | audit compromise nobody --since 2026-01-31T00:00:00Z
audit accept-break   | audit accept-break --after 1 --reason why
audit export         | audit export --form csv --output {here}/log.csv
audit head           | audit head
audit prove          | audit prove 1
audit check-proof    | audit check-proof {here}/proof
config show          | config show
config validate      | config validate
policy check         | policy check
policy test          | policy test {here}/cases.toml
policy explain       | policy explain file.read db/password
policy diff          | policy diff {root}/policy.toml {root}/policy.toml
policy replay        | policy replay {root}/policy.toml
policy learn         | policy learn --for 1d --client owner
policy import        | policy import --gloves {here}/.gloves.toml
policy template      | policy template
policy fmt           | policy fmt
policy reload        | policy reload
policy risk          | policy risk
generate man         | generate man {here}/man
generate completions | generate completions bash
help                 | help
daemon stop          | daemon stop
"#;

/// What the policy of the root says besides.
pub(super) const RULES: &str = r#"
[clients.asker]
session = "asker"
[[rule]]
name = "ask"
clients = ["owner"]
ops = ["file.read"]
path = ["asked"]
priority = 1
decide = "approve"
approve = { require = "one_time", factors = { any = ["local"] } }
"#;

/// The commands by their words, each with the words of its run.
pub(super) fn runs() -> Vec<(&'static str, &'static str)> {
    let lines = RUNS.lines().filter(|line| !line.is_empty());
    let parts = lines.map(|line| line.split_once('|').unwrap());
    parts.map(|(command, words)| (command.trim(), words.trim())).collect()
}

/// The words of a run, for this root and these ids: of a request, a grant and an entry of the log.
pub(super) fn filled(
    words: &str,
    root: &Root,
    (request, grant, entry): (&str, &str, &str),
) -> Vec<String> {
    let (here, path) = (root.directory().to_str().unwrap(), root.path().to_str().unwrap());
    let word = |word: &str| {
        let word = word.replace("{here}", here).replace("{root}", path);
        let word = word.replace("{request}", request).replace("{grant}", grant);
        word.replace("{entry}", entry)
    };
    words.split(' ').map(word).collect()
}

/// Puts beside the root what the runs read.
pub(super) fn lay_out(root: &Root) {
    let write = |name: &str, text: &str| replace(&root.directory().join(name), text);
    for folder in ["gloves/store", "gloves/meta", "pass", "import", "mount"] {
        std::fs::create_dir_all(root.directory().join(folder)).unwrap();
    }
    write("words", "several words of mine");
    write("plan.toml", "[[step]]\nop = \"file.read\"\ntarget = \"db/password\"\n");
    write("env", "TOKEN=hunter3\n");
    write("proof", "none");
    write(
        "cases.toml",
        "policy = \"root/policy.toml\"\n[[case]]\ncaller = { uid = 7 }\n\
         ask = { operations = [\"file.read\"], vault = \"default\", path = \"a\" }\n\
         expect = { decision = \"denied\" }\n",
    );
    write("pass/.gpg-id", "ann@example.org\n");
    write(".gloves.toml", "version = 1\n[paths]\nroot = \"/srv/gloves\"\n");
}

#[test]
fn the_runs_are_of_every_command_there_is() {
    // A test beside that file compares it with the words of the command line.
    let examples = include_str!("../../src/help/examples.txt").lines();
    let known: BTreeSet<&str> = examples.filter(|line| !line.starts_with(' ')).collect();
    let runs: BTreeSet<&str> = runs().into_iter().map(|(command, _)| command).collect();
    assert_eq!(runs, known);
}
