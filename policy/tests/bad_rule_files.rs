//! Every way a text fails to be a policy: named, with the place. `@@` stands where the fault is.

use ward_policy::{Digest, RuleFileError, Rules};

/// What the rule of a case may lean on.
const BASE: &str = "version = 1\n\
    [ops]\n'file.read' = 'low'\n\
    [clients.ann]\nuid = 1\n\
    [clients.boss]\nuid = 2\nrole = 'approver'\n\
    [targets.keys]\npath = ['keys/**']\n";

fn load(text: &str) -> Result<Rules, RuleFileError> {
    Rules::load(text, Digest::from_bytes([0; 32]))
}

/// The line and column of the mark, from 1, and the text without it.
fn marked(text: &str) -> (usize, usize, String) {
    let (before, _) = text.split_once("@@").unwrap_or_else(|| panic!("no mark in {text}"));
    let line = before.lines().count().max(1) + usize::from(before.ends_with('\n'));
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (if before.is_empty() { 1 } else { line }, column, text.replacen("@@", "", 1))
}

fn check(cases: &[(&str, &str)], wrap: impl Fn(&str) -> String) {
    for (text, message) in cases {
        let (line, column, text) = marked(&wrap(text));
        match load(&text) {
            Ok(_) => panic!("this loads:\n{text}"),
            Err(error) => {
                assert!(error.message.contains(message), "{error}\nfor\n{text}");
                assert_eq!((error.line, error.column), (line, column), "{error}\nfor\n{text}");
            }
        }
    }
}

/// A rule whose fields are complete but for `fields`, which replace or add to them.
fn rule(fields: &str) -> String {
    let mut text = format!("{BASE}[[rule]]\n");
    for (key, value) in
        [("name", "'x'"), ("clients", "['ann']"), ("ops", "['file.read']"), ("path", "['a']")]
    {
        if !fields.split('\n').any(|line| line.trim_start_matches("@@").starts_with(key)) {
            text.push_str(&format!("{key} = {value}\n"));
        }
    }
    if !fields.contains("decide") {
        text.push_str("decide = 'allow'\n");
    }
    text + fields
}

#[test]
fn what_the_cases_lean_on_loads() {
    load(BASE).unwrap();
    load(&rule("")).unwrap();
    load(&rule(
        "decide = 'approve'\napprove = { require = 'always', factors = { any = ['local'] } }",
    ))
    .unwrap();
}

#[test]
fn an_error_reads_line_column_fault_and_next_step() {
    let error = load("version = 1\n[ops]\n\"file.raed\" = \"low\"").unwrap_err();
    assert!(
        error.to_string().starts_with(
            "line 3, column 1: \"file.raed\" is no operation; did you mean \"file.read\"?"
        ),
        "{error}"
    );
}

#[test]
fn a_column_counts_characters() {
    let error = load("version = 1\n[clients.ann]\nexe = [\"/\u{e4}\u{f6}\", \"x\"]").unwrap_err();
    assert_eq!((error.line, error.column), (3, 15), "{error}");
}

#[test]
fn a_policy_that_is_not_understood_whole_is_refused() {
    check(
        &[
            ("@@", "`version` is missing"),
            ("version = @@2", "write version = 1"),
            ("version = @@'1'", "`version` must be a whole number"),
            ("version = 1\n@@version = 1", "duplicate key"),
            ("version = 1\n@@rules = []", "unknown key `rules`"),
            ("version = 1\n[sandbox.x]\n@@net = []", "cannot enforce `net` yet; remove it"),
            ("version = 1\n[sandbox.@@'a b']", "is no name"),
            ("version = 1\nname = @@\n", "not TOML"),
            ("version = 1\nrule = @@{ name = 'x' }", "must be a list"),
            ("version = 1\nrule = @@[]", "`rule` is an empty list"),
            ("version = 1\nrule = [@@1]", "must be a table"),
            ("version = 1\nops = @@1", "`ops` must be a table"),
        ],
        str::to_owned,
    );
}

#[test]
fn defaults_are_checked_one_by_one() {
    check(
        &[
            ("lease = @@'61m'", "`lease` is over its cap; use at most 3600s"),
            ("lease = @@'1d'", "over its cap"),
            ("lease = @@'0s'", "must be a time"),
            ("lease = @@600", "must be a text"),
            ("hold = @@'61s'", "`hold` is over its cap; use at most 60s"),
            ("timezone = @@'Europe/Berlim'", "did you mean \"Europe/Berlin\"?"),
            ("timezone = @@'local'", "is no time zone"),
            ("ungraded = @@'public'", "must be \"internal\" or \"restricted\" or \"critical\""),
            ("generic_programs = @@[]", "empty list"),
            ("generic_programs = [@@'/usr/bin/cat']", "is no name"),
            ("factors = @@{ }", "{ any = [..] } or { all = [..] }"),
            ("factors = @@{ any = ['local'], all = ['local'] }", "{ any = [..] } or"),
            ("factors = { any = @@[] }", "empty list"),
            ("factors = { any = [@@'passkey'] }", "\"local\" or \"signed\" or \"hardware\""),
            ("factors = { @@some = ['local'] }", "unknown key `some`"),
            ("rate = @@600", "must be a table"),
            ("rate = @@{ max = 600 }", "`per` is missing"),
            ("rate = @@{ per = '1m' }", "`max` is missing"),
            ("rate = { max = @@0, per = '1m' }", "must be a number from 1"),
            ("rate = { max = 1, per = @@'2d' }", "over its cap"),
            ("rate = { max = 1, per = '1m', @@within = '1m' }", "belongs to `breaker`"),
            ("rate = @@{ max = 1, per = '1m', breaker = 3 }", "`within` is missing"),
            ("rate = { max = 1, per = '1m', @@braker = 3 }", "did you mean `breaker`?"),
            ("risk = @@{ window = '1h' }", "`escalate` is missing"),
            ("risk = { window = '1h', escalate = 9, deny = @@8 }", "raise it"),
            ("@@breaker = 10", "unknown key `breaker`"),
            ("@@leese = '1m'", "unknown key `leese`; did you mean `lease`?"),
            ("@@colour = '1m'", "unknown key `colour`; use one of lease, hold"),
        ],
        |fields| format!("version = 1\n[defaults]\n{fields}"),
    );
}

#[test]
fn approval_audit_and_operations_take_their_own_words_only() {
    check(
        &[
            ("[approval]\nsame_user = @@'yes'", "must be \"allow\" or \"deny\""),
            ("[approval]\nsame_user = @@true", "must be \"allow\" or \"deny\""),
            ("[approval]\n@@same = 'allow'", "unknown key `same`"),
            ("[audit]\nopens = @@'never'", "must be \"durable\" or \"written\""),
            ("[audit]\nnames = @@'hashed'", "must be \"sealed\" or \"clear\""),
            ("[audit]\nkeep = @@'23h'", "use at least 1d"),
            ("[audit]\nkeep = @@'long'", "a time such as"),
            ("[audit]\n@@path = 'x'", "unknown key `path`"),
            ("[ops]\n'file.read' = @@'tiny'", "must be \"low\" or"),
            ("[ops]\n@@'file.exec' = 'low'", "is no operation"),
            ("[ops]\n@@'flie.*' = 'low'", "is no operation"),
            ("[ops]\n@@'file*' = 'low'", "is no operation"),
            ("[ops]\n@@'' = 'low'", "is no operation"),
        ],
        |text| format!("version = 1\n{text}"),
    );
}

#[test]
fn clients_are_facts_that_the_kernel_attests() {
    check(
        &[
            ("uid = @@-1", "number from 0 to"),
            ("uid = @@4294967295", "number from 0 to"),
            ("uid = @@'ann'", "must be a whole number"),
            ("uid = @@1.0", "must be a whole number"),
            ("uid = @@[]", "empty list"),
            ("gid = [1, @@'x']", "must be a whole number"),
            ("exe = @@'claude'", "starts with '/'"),
            ("exe = @@'/usr/**bin'", "'**' must be a part of its own"),
            ("exe = @@'/usr/bin/'", "empty part"),
            ("exe = ['/a', @@'/usr/[ab]']", "'[' has no meaning here"),
            ("sha256 = @@'abc'", "64 lower-case hex digits"),
            ("uid = 1\ngrade = @@'high'", "must be \"verified\" or"),
            ("uid = 1\nrole = @@'admin'", "must be \"approver\""),
            ("uid = 1\n@@user = 2", "unknown key `user`"),
            ("cgroup = @@'x'", "starts with '/'"),
            ("unit = @@'a//b'", "empty part"),
            ("container = @@7", "must be a text in quotes"),
            ("script = @@'x.sh'", "starts with '/'"),
            ("script = @@7", "`script` must be a path, or {"),
            ("script = @@{}", "would be any script"),
            ("script = { @@hash = 'x' }", "unknown key `hash`"),
            ("ancestor = @@'bob'", "must be a table"),
            ("ancestor = @@{ match = 'tree' }", "`client` is missing"),
            ("ancestor = { client = @@'nobody' }", "is named \"nobody\""),
            ("ancestor = { client = @@'ann' }", "without an `ancestor` of its own"),
            ("ancestor = { client = @@'cat' }\n[clients.cat]\nunit = 'x'", "of an ancestor only"),
            (
                "ancestor = { client = 'cat', match = @@'near' }\n[clients.cat]\nuid = 1",
                "\"direct\"",
            ),
            ("tty = @@7", "must be a text in quotes"),
            ("session = @@'a b'", "names no agent"),
            ("session = ['a', @@'-x']", "names no agent"),
        ],
        |fields| format!("version = 1\n[clients.ann]\n{fields}"),
    );
    check(
        &[
            ("@@[clients.ann]\nrole = 'approver'", "would be everybody"),
            ("[clients.@@\"*\"]\nuid = 1", "is no name"),
            ("[clients.@@'a b']\nuid = 1", "is no name"),
        ],
        |text| format!("version = 1\n{text}"),
    );
}

#[test]
fn targets_are_patterns_with_a_sensitivity() {
    check(
        &[
            ("path = @@[]", "empty list"),
            ("path = @@'a'", "must be a list"),
            ("path = ['a']\nsensitivity = @@'secret'", "must be \"public\" or"),
            ("path = ['a']\nlabels = { env = @@1 }", "must be a text"),
            ("path = ['a']\n@@owner = 'x'", "unknown key `owner`"),
            ("path = ['a']\nlabels = { @@'a b' = 'x' }", "is no name"),
            ("@@where = { a = 'x' }", "cannot enforce `where` yet"),
        ],
        |fields| format!("version = 1\n[targets.keys]\n{fields}"),
    );
    check(&[("@@[targets.keys]\nsensitivity = 'critical'", "`path` is missing")], |text| {
        format!("version = 1\n{text}")
    });
}

#[test]
fn bad_patterns_are_refused_by_what_is_wrong_with_them() {
    check(
        &[
            ("path = [@@'']", "it is empty"),
            ("path = [@@'/a']", "empty part"),
            ("path = [@@'a/']", "empty part"),
            ("path = [@@'a//b']", "empty part"),
            ("path = ['ok', @@'../a']", "cannot climb"),
            ("path = [@@'a/./b']", "cannot climb"),
            ("path = [@@'a**']", "'**' must be a part of its own"),
            ("path = [@@'***']", "'**' must be a part of its own"),
            ("path = [@@'{a,b}']", "'{' has no meaning here"),
            ("path = [@@'a\\b']", "has no meaning here"),
            ("path = [@@\"a\\nb\"]", "control character"),
            ("path = [@@'Work:a']", "cannot name a vault"),
            ("path = [@@'*:a']", "cannot name a vault"),
            ("path = [@@'work:']", "it is empty"),
            ("path = [@@'work:/a']", "empty part"),
            ("path = [@@1]", "must be a text"),
        ],
        rule,
    );
}

#[test]
fn a_rule_says_for_whom_what_where_and_how() {
    check(
        &[
            ("[@@[rule]]\nclients = ['ann']", "`name` is missing"),
            ("[@@[rule]]\nname = 'x'\nops = ['*']\npath = ['*']", "`clients` is missing"),
            ("[@@[rule]]\nname = 'x'\nclients = ['*']\npath = ['*']", "`ops` is missing"),
            (
                "[@@[rule]]\nname = 'x'\nclients = ['*']\nops = ['*']\ndecide = 'deny'",
                "no `path`, `targets` or `where`",
            ),
            (
                "[@@[rule]]\nname = 'x'\nclients = ['*']\nops = ['*']\npath = ['*']",
                "`decide` is missing",
            ),
        ],
        |text| format!("{BASE}{}", text.replacen("[@@[", "@@[[", 1)),
    );
    check(
        &[
            ("name = @@''", "is no name"),
            ("name = @@'a b'", "is no name"),
            ("clients = @@[]", "empty list"),
            ("clients = @@'ann'", "must be a list"),
            ("clients = [@@'bob']", "no client is named \"bob\"; define [clients.bob]"),
            ("clients = [@@'anm']", "no client is named \"anm\"; did you mean \"ann\"?"),
            ("ops = @@[]", "empty list"),
            ("ops = [@@'file.raed']", "is no operation"),
            ("ops = [@@'nothing.*']", "is no operation"),
            ("ops = ['file.read', @@'*']", "stands alone"),
            ("path = @@[]", "empty list"),
            ("targets = @@[]", "empty list"),
            ("targets = [@@'locks']", "no target is named \"locks\"; define [targets.locks]"),
            ("targets = [@@'kyes']", "did you mean \"keys\"?"),
            ("when = @@[]", "empty list"),
            ("when = [@@'weekdays']", "is no time window"),
            ("ticket = @@'yes'", "must be true or false"),
            ("priority = @@'high'", "must be a whole number"),
            ("reason = @@1", "must be a text"),
            ("grade = @@'high'", "must be \"verified\" or"),
            ("decide = 'deny'\n@@grade = 'weak'", "a deny rule speaks to every grade"),
            ("share = @@'all'", "must be \"exec\" or \"children\""),
            ("mapped = @@'no'", "must be true or false"),
            ("decide = 'deny'\n@@mapped = false", "this rule opens none; remove it"),
            ("share = @@true", "`share` must be"),
            ("decide = 'deny'\n@@share = 'exec'", "this rule opens none; remove it"),
            ("decide = @@'ask'", "must be \"allow\" or \"approve\" or \"deny\""),
        ],
        rule,
    );
}

#[test]
fn conditions_say_what_they_ask_for() {
    check(
        &[
            ("where = @@'prod'", "must be a table"),
            ("where = @@{}", "asks for nothing"),
            ("where = { env = @@1 }", "must be a text"),
            ("where = { env = @@[] }", "empty list"),
            ("where = { env = ['a', @@'b]'] }", "has no meaning here"),
            ("where = { @@'a b' = 'x' }", "is no name"),
            ("secrets = @@[]", "empty list"),
            ("secrets = [@@'/a']", "empty part"),
            ("risk = @@[]", "empty list"),
            ("risk = @@'low'", "must be a list"),
            ("risk = [@@'hihg']", "did you mean \"high\"?"),
            ("sandbox = @@'offline'", "no sandbox is named \"offline\"; define [sandbox.offline]"),
            ("sandbox = @@[]", "empty list"),
            ("clients = ['ann', @@'*']", "stands alone"),
        ],
        rule,
    );
}

#[test]
fn a_condition_that_nobody_enforces_yet_is_refused_by_name() {
    check(
        &[
            ("@@rate = { max = 1, per = '1m' }", "cannot enforce `rate` yet"),
            ("@@hold = '1m'", "cannot enforce `hold` yet"),
            ("@@client = 'ann'", "unknown key `client`"),
            ("@@scope = 'process'", "belongs to decide = \"approve\""),
            ("@@approve = { require = 'always' }", "belongs to decide = \"approve\""),
        ],
        rule,
    );
}

#[test]
fn two_rules_of_one_name_are_refused_at_the_second() {
    let once = rule("");
    let second = once.replacen(BASE, "", 1).replace("'x'", "@@'x'");
    check(&[(second.as_str(), "is named `x` too")], |second| format!("{once}{second}"));
}

#[test]
fn an_approve_rule_says_what_an_answer_takes_and_somebody_can_give_it() {
    check(
        &[
            ("decide = 'approve'\napprove = @@true", "must be a table"),
            ("decide = 'approve'\napprove = @@{ require = 'always' }", "`factors` is missing"),
            ("decide = 'approve'\napprove = @@{ factors = { any = ['local'] } }", "`require` is"),
        ],
        rule,
    );
    check(
        &[
            ("require = @@'never'", "\"first_use\" or \"one_time\" or \"always\""),
            ("require = 'always', lease = @@'2h'", "over its cap"),
            ("require = 'always', quorum = @@0", "must be a number from 1"),
            ("require = 'always', quorum = @@'two'", "must be a whole number"),
            ("require = 'always', by = @@[]", "empty list"),
            ("require = 'always', by = [@@'bob']", "no client is named \"bob\""),
            ("require = @@'alway'", "did you mean \"always\"?"),
            ("require = 'always', by = @@['ann']", "nobody could answer this"),
            ("require = 'always', @@hold = '5s'", "cannot enforce `hold` yet"),
            ("require = 'always', @@who = 'x'", "unknown key `who`"),
        ],
        |fields| {
            rule(&format!(
                "decide = 'approve'\napprove = {{ factors = {{ any = ['local'] }}, {fields} }}"
            ))
        },
    );
    check(&[("decide = 'approve'\nscope = @@'uid'\napprove = {}", "must be \"process\" or")], rule);
}

#[test]
fn an_approve_rule_that_nobody_could_answer_is_refused_unless_the_asker_may() {
    let ask = "decide = 'approve'\n\
        approve = @@{ require = 'always', factors = { any = ['local'] } }";
    let without_approver = |text: &str| rule(text).replace("role = 'approver'\n", "");
    check(&[(ask, "give role = \"approver\" to a client")], without_approver);
    let text = without_approver(ask).replace("@@", "");
    load(&text.replace("[ops]", "[approval]\nsame_user = 'allow'\n[ops]")).unwrap();
}

#[test]
fn a_rule_to_approve_says_how() {
    let text = rule("decide = 'approve'").replace("[[rule]]", "@@[[rule]]");
    check(&[(text.as_str(), "`approve` is missing")], str::to_owned);
}
