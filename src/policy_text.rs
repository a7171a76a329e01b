//! A policy in a file, read where no daemon is needed.

use crate::picture;
use crate::trouble::Trouble;
use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;
use ward_mountd::control::message::FailureCode;
use ward_mountd::policy_digest;
use ward_policy::Rules;

/// The longest file that is read, in bytes: one that others wrote may have any length.
const LONGEST: u64 = 4 << 20;

/// The text of a file that holds `what`.
pub(crate) fn read(file: &Path, what: &str) -> Result<String, Trouble> {
    let mut text = String::new();
    let length = File::open(file).and_then(|it| it.take(LONGEST + 1).read_to_string(&mut text));
    let length = length.map(|length| u64::try_from(length).unwrap_or(u64::MAX));
    let read = match length {
        Ok(length) if length > LONGEST => Err(Error::other("it is over 4 MiB long")),
        Ok(_) => Ok(text),
        Err(error) => Err(error),
    };
    read.map_err(|error| {
        let is_absent = error.kind() == ErrorKind::NotFound;
        let code = if is_absent { FailureCode::NotFound } else { FailureCode::BadInput };
        Trouble::new(code, format!("cannot read the {what} {}: {error}", file.display()))
    })
}

/// The rules of a policy file.
pub(crate) fn load(file: &Path) -> Result<Rules, Trouble> {
    let text = read(file, "policy")?;
    Rules::load(&text, policy_digest(&text)).map_err(|fault| {
        let shown = file.display().to_string();
        Trouble::bad_input(format!("{shown}, {fault}"))
            .shown(picture::of(&fault, &shown, &text))
            .next("mend the file there and check it again; a running policy stays in force")
    })
}
