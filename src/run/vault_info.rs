//! `ward vault info`: how much a vault holds, and how it is kept.

use crate::client::Client;
use crate::command::UnlockedVaultArguments;
use crate::output::{Report, bytes, count, escaped, short};
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Command, VaultInfo};

/// Shows it.
pub(crate) fn run(
    arguments: &UnlockedVaultArguments,
    settings: &Settings,
) -> Result<Report<VaultInfo>, Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let command = Command::VaultInfo { vault: vault.clone() };
    let mut client = Client::connect(settings)?;
    let info: VaultInfo = client.ask_unlocked(command, None, &vault, &arguments.unlock)?;
    let text = show(&info);
    Ok(Report::new(info, text))
}

fn show(info: &VaultInfo) -> String {
    let mut text = String::new();
    let mut say = |label: &str, words: String| text.push_str(&format!("{label:<9}{words}\n"));
    let (kind, owner) = (escaped(&info.kind), escaped(&info.owner));
    say("vault", format!("{}, kind {kind}, owner {owner}", escaped(&info.vault)));
    say("id", escaped(&info.id).to_string());
    if let Some(reason) = &info.read_only {
        say("changes", format!("none: {}", escaped(reason)));
    }
    let folders = info.directories.saturating_sub(1);
    let (files, folders) = (count(info.files, "file"), count(folders, "folder"));
    say("holds", format!("{files} in {folders}, {}", bytes(info.current_bytes)));
    if info.kind == "secrets" {
        say("history", count(info.versions, "version"));
    }
    let (segments, dead) = (count(info.segments, "segment"), bytes(info.dead_bytes));
    say("disk", format!("{} in {segments}, {dead} of them dead", bytes(info.disk_bytes)));
    if info.segments_to_rekey > 0 {
        let left = count(info.segments_to_rekey, "segment");
        say("key", format!("new; {left} under an older one, to be rewritten"));
    }
    say("memory", format!("about {}", bytes(info.memory_bytes)));
    let image = match info.image.as_str() {
        "none" => "opened without one",
        "newest" => "opened with the newest",
        _ => "opened with the older of two: the newest is not whole",
    };
    say("image", format!("{}, {image}", bytes(info.image_bytes)));
    let pinned = info.pinned.as_deref();
    say("pin", pinned.map_or_else(|| "none".to_owned(), |at| format!("written {}", escaped(at))));
    let head = &info.head;
    say(
        "head",
        format!(
            "branch {}, segment {}, frame {}, chain {}, header {}",
            head.branch,
            head.segment,
            head.sequence,
            short(&head.chain),
            head.header_generation
        ),
    );
    text
}
