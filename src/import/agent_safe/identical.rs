//! What is imported decides as the original does: a second evaluator, written apart, over random rules.

use super::super::Here;
use super::{Folder, Settings, import};
use std::collections::BTreeMap;
use ward_policy::{DescribedCaller, DescribedQuestion, Digest, Rules};

/// Actions with their operations and risk classes.
const ACTIONS: [(&str, &str, usize); 6] = [
    ("file-read", "file.read", 1),
    ("file-write", "file.write", 2),
    ("list-names", "file.list", 0),
    ("delete-secret", "secret.revoke", 3),
    ("set-secret", "secret.set", 2),
    ("show-history", "secret.history", 0),
];
/// Targets: id, type, environment, sensitivity, team.
const TARGETS: [(&str, &str, &str, usize, &str); 5] = [
    ("dev/app", "app", "dev", 0, "red"),
    ("dev/db", "db", "dev", 1, "blue"),
    ("staging/db", "db", "staging", 2, "blue"),
    ("prod/app", "app", "prod", 2, "red"),
    ("prod/db", "db", "prod", 3, "blue"),
];
/// Callers: id, roles, groups; none is anonymous.
const CALLERS: [Option<(&str, &str, &str)>; 5] = [
    None,
    Some(("bot", "reader", "core")),
    Some(("deployer", "writer", "core")),
    Some(("ops", "writer", "night")),
    Some(("stranger", "", "")),
];
const RISKS: [&str; 4] = ["low", "medium", "high", "critical"];
const GRADES: [&str; 4] = ["public", "internal", "restricted", "critical"];
const EFFECTIVE: [[usize; 4]; 4] = [[0, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 3], [2, 3, 3, 3]];
const DECISIONS: [&str; 3] = ["allow", "deny", "require_approval"];
/// Hours of a week that windows begin, end or are in.
const TIMES: [(&str, u8, u8); 6] = [
    ("Mon 00:00", 0, 0),
    ("Mon 04:59", 0, 4),
    ("Tue 05:00", 1, 5),
    ("Wed 12:30", 2, 12),
    ("Sat 23:59", 5, 23),
    ("Sun 22:00", 6, 22),
];

/// A generator of numbers, the same on every run (Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    fn some<T: Copy>(&mut self, of: &[T]) -> Option<Vec<T>> {
        (self.below(3) == 0).then(|| of.iter().copied().filter(|_| self.below(2) == 0).collect())
    }
}

/// A rule as this file thinks of one.
#[derive(Clone, Debug)]
struct Row {
    priority: usize,
    actions: Option<Vec<&'static str>>,
    environments: Option<Vec<&'static str>>,
    sensitivities: Option<Vec<&'static str>>,
    team: Option<&'static str>,
    has_callers: bool,
    agents: Option<Vec<&'static str>>,
    roles: Option<Vec<&'static str>>,
    groups: Option<Vec<&'static str>>,
    risks: Option<Vec<&'static str>>,
    window: Option<(Vec<u8>, u8, u8)>,
    ticket: Option<bool>,
    decision: &'static str,
}

struct Asked {
    action: usize,
    target: Option<usize>,
    caller: usize,
    time: usize,
    ticket: bool,
}

fn a_row(dice: &mut Dice) -> Row {
    let patterns =
        ["file-*", "*", "delete-secret", "*-secret", "[fl]i*", "show-histor?", "[!f]*", "none-*"];
    let has_callers = dice.below(2) == 0;
    let hours = (0..7).filter(|_| dice.below(2) == 0).collect();
    let window =
        (hours, u8::try_from(dice.below(24)).unwrap(), u8::try_from(dice.below(24)).unwrap());
    Row {
        priority: dice.below(4) * 100,
        actions: dice.some(&patterns),
        environments: dice.some(&["dev", "staging", "prod"]),
        sensitivities: dice.some(&GRADES),
        team: (dice.below(6) == 0).then_some(["red", "blue", "green"][dice.below(3)]),
        has_callers,
        agents: dice.some(&["bot", "deployer", "ops"]).filter(|_| has_callers),
        roles: dice.some(&["reader", "writer"]).filter(|_| has_callers),
        groups: dice.some(&["core", "night"]).filter(|_| has_callers),
        risks: dice.some(&RISKS),
        window: (dice.below(4) == 0).then_some(window),
        ticket: [None, None, Some(true), Some(false)][dice.below(4)],
        decision: DECISIONS[dice.below(3)],
    }
}

fn yaml(rows: &[Row]) -> String {
    let list = |name: &str, items: &Option<Vec<&str>>| {
        items.as_ref().map(|items| format!("{name}: {items:?}")).unwrap_or_default()
    };
    let map = |name: &str, parts: Vec<String>| {
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("{name}: {{{}}}", parts.join(", "))
    };
    let mut text = "rules:\n".to_owned();
    for (number, row) in rows.iter().enumerate() {
        let mut parts = vec![list("actions", &row.actions), list("risk_classes", &row.risks)];
        let labels = row.team.map(|team| format!("labels: {{team: {team}}}")).unwrap_or_default();
        let targets = vec![
            list("environments", &row.environments),
            list("sensitivities", &row.sensitivities),
            labels,
        ];
        if targets.iter().any(|part| !part.is_empty()) {
            parts.push(map("targets", targets));
        }
        if row.has_callers {
            parts.push(map(
                "callers",
                vec![
                    list("agent_ids", &row.agents),
                    list("roles", &row.roles),
                    list("groups", &row.groups),
                ],
            ));
        }
        if let Some((days, start, end)) = &row.window {
            parts.push(format!(
                "time_windows: [{{days: {days:?}, start_hour: {start}, end_hour: {end}}}]"
            ));
        }
        parts.extend(row.ticket.map(|ticket| format!("require_ticket: {ticket}")));
        let matching = map("match", parts);
        let Row { priority, decision, .. } = row;
        text.push_str(&format!(
            "  - name: r{number}\n    priority: {priority}\n    {matching}\n    decision: {decision}\n    reason: because\n"
        ));
    }
    text
}

/// Python's fnmatch, for the patterns of this file.
fn is_like(pattern: &str, action: &str) -> bool {
    match pattern {
        "*" => true,
        "file-*" => action.starts_with("file-"),
        "*-secret" => action.ends_with("-secret"),
        "[fl]i*" => action.starts_with("fi") || action.starts_with("li"),
        "[!f]*" => !action.starts_with('f'),
        "show-histor?" => action == "show-history",
        exact => exact == action,
    }
}

fn matches(row: &Row, asked: &Asked) -> bool {
    let (action, _, risk) = ACTIONS[asked.action];
    let target = asked.target.map(|target| TARGETS[target]);
    let has = |list: &Option<Vec<&str>>, value: &str| {
        list.as_ref().is_none_or(|list| list.contains(&value))
    };
    let asks_for_targets =
        row.environments.is_some() || row.sensitivities.is_some() || row.team.is_some();
    let is_target = match target {
        None => !asks_for_targets,
        Some((_, _, environment, grade, team)) => {
            has(&row.environments, environment)
                && has(&row.sensitivities, GRADES[grade])
                && row.team.is_none_or(|wanted| wanted == team)
        }
    };
    let is_caller = match CALLERS[asked.caller] {
        None => !row.has_callers,
        Some((id, role, group)) => {
            has(&row.agents, id) && has(&row.roles, role) && has(&row.groups, group)
        }
    };
    let grade = target.map_or(3, |(_, _, _, grade, _)| grade);
    let (_, day, hour) = TIMES[asked.time];
    let is_time = row.window.as_ref().is_none_or(|(days, start, end)| {
        let is_within = if start <= end {
            (start..=end).contains(&&hour)
        } else {
            hour >= *start || hour <= *end
        };
        days.contains(&day) && is_within
    });
    row.actions.as_ref().is_none_or(|patterns| patterns.iter().any(|it| is_like(it, action)))
        && is_target
        && is_caller
        && has(&row.risks, RISKS[EFFECTIVE[risk][grade]])
        && is_time
        && row.ticket.is_none_or(|wanted| wanted == asked.ticket)
}

/// The first of the highest priority decides, and nothing allows nothing.
fn expected(rows: &[Row], asked: &Asked) -> &'static str {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.priority));
    rows.into_iter().find(|row| matches(row, asked)).map_or("deny", |row| row.decision)
}

fn folder(rows: &[Row]) -> Folder {
    let mut folder = Folder::default();
    for (name, _, risk) in ACTIONS {
        let text = format!(
            "name: {name}\nversion: 1.0.0\nrisk_class: {}\ntarget_types: [app]\n",
            RISKS[risk]
        );
        folder.take_action("actions/a.yaml", &text).unwrap();
    }
    let mut targets = "targets:\n".to_owned();
    for (id, kind, environment, grade, team) in TARGETS {
        targets.push_str(&format!(
            "  - {{id: {id}, type: {kind}, environment: {environment}, sensitivity: {}, labels: {{team: {team}}}}}\n",
            GRADES[grade]
        ));
    }
    folder.take_inventory("inventory.yaml", &targets).unwrap();
    folder.take_rules("policies/p.yaml", &yaml(rows)).unwrap();
    folder
}

fn settings() -> Settings {
    let set = |agents: &[&str]| agents.iter().map(ToString::to_string).collect();
    let actions =
        ACTIONS.iter().map(|(action, operation, _)| (action.to_string(), operation.to_string()));
    Settings {
        here: Here { place: "default:".to_owned(), users: BTreeMap::new(), approver: 0 },
        actions: actions.collect(),
        roles: [
            ("reader".to_owned(), set(&["bot"])),
            ("writer".to_owned(), set(&["deployer", "ops"])),
        ]
        .into(),
        groups: [
            ("core".to_owned(), set(&["bot", "deployer"])),
            ("night".to_owned(), set(&["ops"])),
        ]
        .into(),
    }
}

fn decided(rules: &Rules, asked: &Asked) -> &'static str {
    let (time, ..) = TIMES[asked.time];
    let facts = CALLERS[asked.caller]
        .map_or_else(|| "uid = 7".to_owned(), |(id, ..)| format!("uid = 7, session = {id:?}"));
    let caller = DescribedCaller::parse(&facts).unwrap().read().unwrap();
    let target = asked.target.map_or("elsewhere/x", |target| TARGETS[target].0);
    let ask = DescribedQuestion {
        operations: Some(vec![ACTIONS[asked.action].1.to_owned()]),
        vault: Some("default".to_owned()),
        path: Some(target.to_owned()),
        ticket: asked.ticket.then(|| "T-1".to_owned()),
        ..DescribedQuestion::default()
    };
    let asked = ask.read().unwrap();
    let outcome = rules.outcome(&caller, &asked.question(), rules.time(time).unwrap());
    match outcome.decision.as_str() {
        "permitted" => "allow",
        "needs approval" => "require_approval",
        _ => "deny",
    }
}

#[test]
fn every_combination_is_decided_as_before() {
    let mut dice = Dice(1);
    let (mut combinations, mut came_out) = (0, BTreeMap::new());
    for _ in 0..40 {
        let count = 1 + dice.below(12);
        let rows: Vec<Row> = (0..count).map(|_| a_row(&mut dice)).collect();
        let policy = import(&folder(&rows), &settings()).unwrap();
        let rules = Rules::load(&policy, Digest::from_bytes([0; 32]))
            .unwrap_or_else(|fault| panic!("{fault}\n{policy}"));
        for number in 0..300 {
            let asked = Asked {
                action: dice.below(ACTIONS.len()),
                target: Some(dice.below(TARGETS.len() + 1))
                    .filter(|target| *target < TARGETS.len()),
                caller: dice.below(CALLERS.len()),
                time: number % TIMES.len(),
                ticket: dice.below(2) == 0,
            };
            let expected = expected(&rows, &asked);
            assert_eq!(decided(&rules, &asked), expected, "{}\n{}\n{policy}", yaml(&rows), number);
            *came_out.entry(expected).or_insert(0) += 1;
            combinations += 1;
        }
    }
    assert!(combinations >= 1000 && came_out.values().all(|count| *count > 1000), "{came_out:?}");
}

#[test]
fn a_key_that_is_none_and_a_role_of_nobody_are_refused() {
    let mut all = Folder::default();
    let odd = "rules:\n  - {name: x, match: {action: [a]}, decision: allow, reason: y}\n";
    let refused = all.take_rules("policies/p.yaml", odd).unwrap_err().to_string();
    assert!(refused.starts_with("policies/p.yaml: unknown field `action`"), "{refused}");
    let row = Row {
        has_callers: true,
        roles: Some(vec!["unheard"]),
        actions: None,
        ..a_row(&mut Dice(7))
    };
    let rows = [Row { environments: None, sensitivities: None, team: None, ..row }];
    let refused = import(&folder(&rows), &settings()).unwrap_err().to_string();
    assert!(refused.starts_with("who is in the role \"unheard\"?"), "{refused}");
}

#[test]
fn a_folder_is_read_by_the_names_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = std::fs::File::create(path).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    };
    write(
        "actions/read.yaml",
        "name: file-read\nversion: 1.0.0\nrisk_class: low\ntarget_types: [a]\n",
    );
    write(
        "actions/scale.yaml",
        "name: scale\nversion: 1.0.0\nrisk_class: high\ntarget_types: [a]\n",
    );
    let rule = |name: &str, decision: &str| {
        format!(
            "rules:\n  - {{name: {name}, match: {{}}, decision: {decision}, reason: 'why: {name}'}}\n"
        )
    };
    write("policies/b.yaml", &rule("second", "deny"));
    write("policies/a.yml", &rule("first", "allow"));
    write("policies/README.md", "not YAML");
    write("inventory.yaml", "targets: []\n");
    let settings = Settings { actions: BTreeMap::new(), ..settings() };
    let policy = import(&Folder::read(folder.path()).unwrap(), &settings).unwrap();
    assert!(policy.contains("# left out: the action scale is no operation;"), "{policy}");
    let first = "# policies/a.yml, rule \"first\", priority 0\n[[rule]]\nname = \"first\"\n\
        clients = [\"*\"]\nops = [\"file.read\"]\npath = [\"*\"]\npriority = 2\ndecide = \"allow\"\n\
        reason = \"why: first\"\n";
    assert!(policy.contains(first), "{policy}");
    assert!(policy.contains("# policies/b.yaml, rule \"second\", priority 0\n"), "{policy}");
}
