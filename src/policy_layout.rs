//! How a policy is laid out: one order of tables and of their keys, one form of spaces. Comments stay
//! with what they stand before, or behind on its line.

use toml_edit::{
    Array, Decor, DocumentMut, InlineTable, Item, KeyMut, RawString, Table, TomlError, Value,
};

/// The order of the tables at the top.
const TABLES: [&str; 9] =
    ["version", "defaults", "approval", "audit", "ops", "clients", "targets", "sandbox", "rule"];
/// The order of keys, by table; keys of the others stay as they stand.
const KEYS: [(&str, &[&str]); 3] = [
    (
        "clients",
        &[
            "uid",
            "loginuid",
            "gid",
            "group",
            "exe",
            "sha256",
            "script",
            "ancestor",
            "cgroup",
            "unit",
            "container",
            "session",
            "tty",
            "grade",
            "role",
        ],
    ),
    ("targets", &["path", "sensitivity", "labels"]),
    (
        "rule",
        &[
            "name", "clients", "grade", "ops", "path", "targets", "where", "secrets", "when",
            "ticket", "risk", "sandbox", "priority", "decide", "reason", "approve", "scope",
            "share", "mapped",
        ],
    ),
];

/// What a walk over the tables with headers of their own does with each.
type Visit<'a> = dyn FnMut(&str, &mut Table) + 'a;

/// The same policy, laid out.
///
/// # Errors
/// The text is no TOML.
pub(crate) fn laid_out(text: &str) -> Result<String, TomlError> {
    let mut document: DocumentMut = text.parse()?;
    let mut places = Vec::new();
    walk(&mut document, &mut |top, table| places.push((rank(top), table.position())));
    places.sort_unstable();
    walk(&mut document, &mut |top, table| {
        let place = places.iter().position(|place| *place == (rank(top), table.position()));
        table.set_position(place.and_then(|place| isize::try_from(place).ok()));
    });
    let root = document.as_table_mut();
    root.sort_values_by(|one, _, other, _| rank(one.get()).cmp(&rank(other.get())));
    lay_out_keys("", root);
    let has_keys = root.iter().any(|(_, item)| item.is_value());
    walk(&mut document, &mut |top, table| {
        let is_first = table.position() == Some(0) && !has_keys;
        let before = comments(table.decor().prefix(), true);
        // A comment right below the table before, with a gap after it, belongs there.
        let is_apart = before.starts_with('\n') || before.contains("\n\n");
        let before = if is_first { before.trim_start_matches('\n') } else { &before };
        let blank = if is_first || is_apart { "" } else { "\n" };
        let behind = behind(table.decor().suffix());
        *table.decor_mut() = Decor::new(format!("{blank}{before}"), behind);
        lay_out_keys(top, table);
    });
    let trailing = comments(Some(document.trailing()), true);
    document.set_trailing(trailing);
    let text = document.to_string();
    Ok(format!("{}\n", text.trim_matches('\n')))
}

fn rank(top: &str) -> usize {
    TABLES.iter().position(|table| *table == top).unwrap_or(TABLES.len())
}

/// Calls `visit` with each table that has a header, and the name at the top that it is below.
fn walk(document: &mut DocumentMut, visit: &mut Visit<'_>) {
    for (key, item) in document.as_table_mut().iter_mut() {
        walk_item(key.get(), item, visit);
    }
}

fn walk_item(top: &str, item: &mut Item, visit: &mut Visit<'_>) {
    match item {
        Item::Table(table) => walk_table(top, table, visit),
        Item::ArrayOfTables(tables) => {
            tables.iter_mut().for_each(|table| walk_table(top, table, visit));
        }
        Item::None | Item::Value(_) => {}
    }
}

fn walk_table(top: &str, table: &mut Table, visit: &mut Visit<'_>) {
    if !table.is_implicit() && !table.is_dotted() {
        visit(top, table);
    }
    for (_, item) in table.iter_mut() {
        walk_item(top, item, visit);
    }
}

/// Puts the keys of a table in order, one on a line, with their comments.
fn lay_out_keys(top: &str, table: &mut Table) {
    let order = KEYS.iter().find(|(table, _)| *table == top).map(|(_, keys)| *keys);
    if let Some(order) = order {
        let place = |key: &str| order.iter().position(|each| *each == key).unwrap_or(usize::MAX);
        table.sort_values_by(|one, _, other, _| place(one.get()).cmp(&place(other.get())));
    }
    let width = |key: &KeyMut<'_>| key.display_repr().chars().count();
    let widths = table.iter_mut().filter(|(_, item)| item.is_value());
    let widest = widths.map(|(key, _)| width(&key)).max().unwrap_or(0);
    let mut is_first = true;
    for (mut key, item) in table.iter_mut() {
        let Item::Value(value) = item else { continue };
        let before = comments(key.leaf_decor().prefix(), order.is_none() && !is_first);
        let padding = if top == "ops" { widest - width(&key) + 1 } else { 1 };
        *key.leaf_decor_mut() = Decor::new(before, " ".repeat(padding));
        let behind = behind(value.decor().suffix());
        lay_out_value(value);
        *value.decor_mut() = Decor::new(" ", behind);
        is_first = false;
    }
}

/// One form of spaces within what stands on one line.
fn lay_out_value(value: &mut Value) {
    match value {
        Value::Array(array) if is_on_one_line(&array.to_string()) => lay_out_array(array),
        Value::InlineTable(table) if is_on_one_line(&table.to_string()) => lay_out_table(table),
        Value::Array(_)
        | Value::InlineTable(_)
        | Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => {}
    }
}

fn lay_out_array(array: &mut Array) {
    array.fmt();
    for value in array.iter_mut() {
        let decor = value.decor().clone();
        lay_out_value(value);
        *value.decor_mut() = decor;
    }
}

fn lay_out_table(table: &mut InlineTable) {
    table.fmt();
    for (_, value) in table.iter_mut() {
        let decor = value.decor().clone();
        lay_out_value(value);
        *value.decor_mut() = decor;
    }
}

/// An array or table over several lines is left as somebody wrote it.
fn is_on_one_line(text: &str) -> bool {
    !text.trim().contains('\n')
}

/// The comment lines before something, with at most one empty line between them; and one before them
/// where `may_be_apart` and there was one.
fn comments(before: Option<&RawString>, may_be_apart: bool) -> String {
    let text = before.and_then(RawString::as_str).unwrap_or_default();
    let mut lines: Vec<&str> = text.split('\n').map(str::trim).collect();
    // What stands behind the last line break is before the thing itself, on its line.
    lines.pop();
    lines.dedup_by(|one, other| one.is_empty() && other.is_empty());
    if !may_be_apart && lines.first().is_some_and(|line| line.is_empty()) {
        lines.remove(0);
    }
    if lines == [""] && !may_be_apart {
        lines.clear();
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The comment behind something on its line.
fn behind(after: Option<&RawString>) -> String {
    let text = after.and_then(RawString::as_str).unwrap_or_default().trim();
    if text.is_empty() { String::new() } else { format!(" {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ward_policy::{Digest, RootKind, Rules, UserId, default_policy};

    const UGLY: &str = "# about all of it\n[[rule]]   # behind a header\ndecide='allow'\n\n\n# why\n  path = [ 'a' ,'b']\n\
        name = 'one' # behind a key\nops = [\n  'file.read', # reading\n]\nclients=['ann']\n\n\
        # an example\n#[clients.bob]\n\n# of ann\n[clients.ann]\nuid   = 1\n\n[ops]\n'file.read'='low'\n'file.write' = 'high'\n# the end\n";
    const PRETTY: &str = "[ops]\n'file.read'  = 'low'\n'file.write' = 'high'\n\n\
        # an example\n#[clients.bob]\n\n# of ann\n[clients.ann]\nuid = 1\n\n\
        # about all of it\n[[rule]] # behind a header\nname = 'one' # behind a key\nclients = ['ann']\n\
        ops = [\n  'file.read', # reading\n]\n# why\npath = ['a', 'b']\ndecide = 'allow'\n# the end\n";

    #[test]
    fn tables_and_keys_come_in_one_order_and_comments_with_them() {
        let laid = laid_out(&format!("version=1\n{UGLY}")).unwrap();
        assert_eq!(laid, format!("version = 1\n\n{PRETTY}"));
        assert_eq!(laid_out(&laid).unwrap(), laid, "what is laid out stays");
    }

    #[test]
    fn the_policy_of_a_new_root_is_laid_out() {
        for kind in [RootKind::Private, RootKind::System] {
            let text = default_policy(UserId(1000), kind);
            assert_eq!(laid_out(&text).unwrap(), text);
        }
    }

    #[test]
    fn it_means_the_same_as_before() {
        let load = |text: &str| Rules::load(text, Digest::from_bytes([0; 32])).unwrap();
        let ugly = format!("version=1\n{UGLY}");
        assert_eq!(load(&ugly).changes_to(&load(&laid_out(&ugly).unwrap())), []);
    }
}
