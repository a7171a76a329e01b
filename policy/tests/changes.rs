//! What differs between two policies.

use crate::support;
use ward_policy::Became;

const OLD: &str = "version = 1\n[defaults]\nlease = '10m'\n[ops]\n'file.read' = 'medium'\n\
    [clients.ann]\nuid = 1\n[clients.bob]\nuid = 2\n[targets.prod]\npath = ['prod/**']\n\
    [[rule]]\nname = 'one'\nclients = ['ann']\nops = ['file.read']\npath = ['a']\ndecide = 'allow'\n\
    [[rule]]\nname = 'two'\nclients = ['ann']\nops = ['file.read']\npath = ['b']\ndecide = 'deny'\n";

#[test]
fn the_same_written_in_another_form_and_order_is_no_change() {
    let new = "# a comment\nversion = 1\nclients.bob = { uid = 2 }\nclients.ann = { uid = 1 }\n\
        [ops]\n\"file.read\" = \"medium\"\n\
        [[rule]]\nname = 'two'\ndecide = \"deny\"\nclients = ['ann']\nops = ['file.read']\npath = [\n'b' ]\n\
        [[rule]]\nname = 'one'\nclients = ['ann']\nops = ['file.read']\npath = ['a']\ndecide = 'allow'\n\
        [targets.prod]\npath = ['prod/**']\n[defaults]\nlease = '10m'\n";
    assert_eq!(support::rules(OLD).changes_to(&support::rules(new)), []);
}

#[test]
fn each_part_that_was_added_removed_or_changed_is_named_with_its_keys() {
    let new = OLD
        .replace("uid = 2", "uid = 3\ngrade = 'verified'")
        .replace("[targets.prod]\npath = ['prod/**']\n", "")
        .replace("'10m'", "'5m'")
        .replace("name = 'two'", "name = 'three'")
        .replace("path = ['a']", "path = ['a', 'c']");
    let changes = support::rules(OLD).changes_to(&support::rules(&new));
    let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "defaults changed (lease)",
            "clients.bob changed (grade, uid)",
            "targets.prod removed",
            "rule one changed (path)",
            "rule three added",
            "rule two removed",
        ]
    );
    let path = &changes[3].keys[0];
    assert_eq!(
        (path.was.as_deref(), path.is.as_deref()),
        (Some(r#"["a"]"#), Some(r#"["a", "c"]"#))
    );
    assert_eq!(changes[3].what, Became::Changed);
}
