//! `ward import`: secrets of other programs, into a vault. Says what would come, until told to do it.

use crate::command::ImportCommand;
use crate::import::decrypted::by_gpg;
use crate::import::dotenv;
use crate::import::secrets::{Imported, LARGEST_FILE, Source};
use crate::output::Report;
use crate::run::import_gloves;
use crate::settings::Settings;
use crate::trouble::Trouble;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// Imports.
pub(crate) fn run(
    command: &ImportCommand,
    settings: &Settings,
) -> Result<Report<Imported>, Trouble> {
    match command {
        ImportCommand::Dotenv(arguments) => {
            let source = dotenv::read(&text_of(&arguments.source)?);
            source
                .bring(&arguments.into, settings, |_| Err("it is in no file".to_owned()))
                .map(Imported::told)
        }
        ImportCommand::Pass(arguments) => {
            let store = arguments.source.as_ref().or(settings.password_store.as_ref());
            let store = store.filter(|store| store.join(".gpg-id").exists()).ok_or_else(|| {
                let name = store.map_or_else(String::new, |store| store.display().to_string());
                Trouble::bad_input(format!("{name} is no store of pass"))
                    .next("name the folder with .gpg-id, such as ~/.password-store")
            })?;
            let mut source = Source::default();
            source.walk(store, ".gpg");
            source.bring(&arguments.into, settings, by_gpg).map(Imported::told)
        }
        ImportCommand::Gloves(arguments) => {
            import_gloves::run(arguments, settings).map(Imported::told)
        }
    }
}

fn text_of(path: &Path) -> Result<Zeroizing<String>, Trouble> {
    let fault = |error: &dyn std::fmt::Display| {
        Trouble::bad_input(format!("cannot import {}: {error}", path.display()))
            .next("name a file of KEY=value lines")
    };
    let file = std::fs::File::open(path).map_err(|error| fault(&error))?;
    let size = file.metadata().map_or(0, |about| about.len()).min(LARGEST_FILE);
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    // What a pipe brings has no length before it is read.
    let length = file.take(LARGEST_FILE + 1).read_to_string(&mut text);
    let length = u64::try_from(length.map_err(|error| fault(&error))?).unwrap_or(u64::MAX);
    if length > LARGEST_FILE { Err(fault(&"it is over 4 MiB long")) } else { Ok(text) }
}
