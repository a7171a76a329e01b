//! A root of gloves: what lies in `store` under the keys of its agents, and what there is besides.

use crate::import::secrets::{LARGEST_FILE, Source};
use crate::settings::shell_word;
use rustix::fs::{Mode, OFlags, open};
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use toml::Table;
use ward_mountd::control::message::Lifetime;
use zeroize::Zeroizing;

/// How a line of an age identity begins.
const IDENTITY: &str = "AGE-SECRET-KEY-1";
/// How files of secrets end.
const ENDING: &str = ".age";
/// The file with an ACL.
const CONFIG: &str = ".gloves.toml";

/// What a root has, and the identities that open it; `place` is what its names begin with here.
pub(crate) fn read(root: &Path, place: &str) -> Result<(Source, Zeroizing<String>), String> {
    let store = root.join("store");
    if !store.is_dir() {
        return Err(format!("{} is no root of gloves: it has no folder store", root.display()));
    }
    let mut source = Source::default();
    source.walk(&store, ENDING);
    let identities = identities(root);
    if identities.is_empty() {
        source
            .notes
            .push("no identity of an agent was found, so nothing can be decrypted".to_owned());
    }
    notes_of_metadata(root, place, &mut source);
    notes_of_requests(root, &mut source);
    source.notes.push(format!(
        "every value is still in {}, beside the keys that open it: remove it when all is well",
        root.display()
    ));
    Ok((source, identities))
}

/// The identities of all agents, in any version: a line each.
fn identities(root: &Path) -> Zeroizing<String> {
    let mut files = Vec::new();
    let agents = std::fs::read_dir(root.join("agents")).into_iter().flatten();
    files.extend(agents.filter_map(Result::ok).map(|agent| agent.path().join("age.key")));
    let top = std::fs::read_dir(root).into_iter().flatten().filter_map(Result::ok);
    files.extend(top.map(|entry| entry.path()).filter(|path| ends_with(path, "agekey")));
    let names = std::fs::read_dir(root.join("identities")).into_iter().flatten();
    let names = names.filter_map(Result::ok).map(|entry| entry.path());
    files.extend(names.filter(|path| ends_with(path, "age")));
    files.sort();
    let mut identities = Zeroizing::new(String::with_capacity(64 << 10));
    for file in files {
        let Some(text) = text_of(&file, 4 << 10) else { continue };
        for line in text.lines().filter(|line| line.starts_with(IDENTITY)) {
            if identities.len() + line.len() < identities.capacity() {
                identities.push_str(line);
                identities.push('\n');
            }
        }
    }
    identities
}

/// Ends of secrets, and who may read them besides who made them.
fn notes_of_metadata(root: &Path, place: &str, source: &mut Source) {
    let mut notes = Vec::new();
    let mut ended = Vec::new();
    for found in &mut source.found {
        let file = root.join("meta").join(format!("{}.json", found.name));
        let Some(about) = text_of(&file, LARGEST_FILE).and_then(|text| json(&text)) else {
            notes.push(format!("{}: it has no metadata that can be read", found.name));
            continue;
        };
        let granted = about.get("recipients").and_then(Value::as_array).into_iter().flatten();
        let granted = granted.filter(|agent| about.get("created_by") != Some(agent));
        // Whoever wrote the root chose both words, and somebody will paste the line.
        let name = shell_word(&format!("{place}{}", found.name));
        notes.extend(granted.filter_map(Value::as_str).map(|agent| {
            let to = shell_word(agent);
            format!("{} was granted to {agent}: ward secrets grant {name} --to {to}", found.name)
        }));
        let Some(end) = about.get("expires_at").and_then(Value::as_str) else {
            // What never ended there does not here, whatever ward.toml says of other secrets.
            found.lasts = Some(Lifetime::Never);
            continue;
        };
        match end.parse::<jiff::Timestamp>() {
            Ok(time) if time <= now() => ended.push(found.name.clone()),
            Ok(time) => {
                let seconds = u64::try_from(time.as_second() - now().as_second()).unwrap_or(0);
                found.lasts = Some(Lifetime::Seconds(seconds.max(1)));
            }
            Err(_) => notes.push(format!("{}: its end, {end}, is no time", found.name)),
        }
    }
    source.notes.extend(notes);
    source.found.retain(|found| !ended.contains(&found.name));
    for name in ended {
        source.leave_out(name, "its time is over");
    }
}

fn notes_of_requests(root: &Path, source: &mut Source) {
    let Some(requests) = text_of(&root.join("pending.json"), LARGEST_FILE) else { return };
    let Some(Value::Array(requests)) = json(&requests) else {
        source.notes.push("pending.json cannot be read".to_owned());
        return;
    };
    let field = |request: &Value, name: &str| {
        request.get(name).and_then(Value::as_str).unwrap_or("?").to_owned()
    };
    for request in requests.iter().filter(|it| field(it, "status") == "pending") {
        source.notes.push(format!(
            "request {} of {} for {} waits there: have it asked again, {}",
            field(request, "id"),
            field(request, "requested_by"),
            field(request, "secret_name"),
            "nothing attests who that was"
        ));
    }
}

/// The `.gloves.toml` that speaks of a root: in it, or in a folder above and naming it.
pub(crate) fn config_of(root: &Path) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let own = root.join(CONFIG);
    if own.is_file() {
        return Some(own);
    }
    let names_it = |file: &PathBuf| {
        let table = text_of(file, LARGEST_FILE).and_then(|text| text.parse::<Table>().ok());
        let named = table.as_ref().and_then(|table| table.get("paths")?.get("root")?.as_str());
        let named = file.parent().zip(named).map(|(folder, named)| folder.join(named));
        named.is_some_and(|named| named.canonicalize().is_ok_and(|it| it == root))
    };
    root.ancestors().skip(1).map(|folder| folder.join(CONFIG)).find(names_it)
}

fn ends_with(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|it| it == extension)
}

/// A file, no link, of so many bytes at most, if it is text.
pub(super) fn text_of(path: &Path, most: u64) -> Option<Zeroizing<String>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).ok()?);
    let about = file.metadata().ok().filter(|about| about.is_file() && about.len() <= most)?;
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(about.len() + 1).ok()?));
    file.take(most).read_to_string(&mut text).ok()?;
    Some(text)
}

fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
