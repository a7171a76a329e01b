//! `ward policy template`: a policy to begin with, or what a tool needs in one.

use crate::command::PolicyTemplateArguments;
use crate::output::{Report, escaped, table};
use crate::policy_layout::laid_out;
use crate::templates::{TEMPLATES, Template};
use crate::trouble::Trouble;
use crate::{policy_text, replaced};
use serde::Serialize;
use std::path::Path;
use ward_mountd::control::message::FailureCode;
use ward_policy::{Digest, Rules};

/// A template, or the names of all.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    /// The names; only this one when it was named.
    templates: Vec<&'static str>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The policy that it was written into.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

/// Prints it, or adds it to a policy.
pub(crate) fn run(arguments: &PolicyTemplateArguments) -> Result<Report<Shown>, Trouble> {
    let Some(name) = &arguments.name else {
        let row = |it: &Template| vec![it.name.to_owned(), it.about().to_owned()];
        let text = table(&TEMPLATES.iter().map(row).collect::<Vec<_>>());
        let templates = TEMPLATES.iter().map(|template| template.name).collect();
        return Ok(Report::new(Shown { templates, text: None, file: None }, text));
    };
    let template = Template::find(name).ok_or_else(|| {
        let message = format!("no template is named {name:?}");
        Trouble::new(FailureCode::NotFound, message).next("see ward policy template")
    })?;
    let text = template.text();
    let Some(file) = &arguments.into else {
        let shown = Shown { templates: vec![template.name], text: Some(text.clone()), file: None };
        return Ok(Report::new(shown, text));
    };
    if template.is_whole {
        let message = format!("{name} is a whole policy, and goes into no other");
        return Err(Trouble::bad_input(message).next("print it into a file of its own"));
    }
    add(file, &text)?;
    let shown = file.display().to_string();
    let told = format!("added to {}; have it taken with ward policy reload\n", escaped(&shown));
    let file = Some(shown);
    Ok(Report::new(Shown { templates: vec![template.name], text: None, file }, told))
}

/// Adds what a tool needs to a policy, which keeps all that it has.
fn add(file: &Path, addition: &str) -> Result<(), Trouble> {
    policy_text::load(file)?;
    let before = policy_text::read(file, "policy")?;
    let after = format!("{}\n\n{addition}", before.trim_end());
    let load = |text: &str| Rules::load(text, Digest::from_bytes([0; 32]));
    load(&after).map_err(|fault| {
        let message = format!("{} takes no more of this: {}", file.display(), fault.message);
        Trouble::new(FailureCode::Conflict, message).next("see whether it is in there already")
    })?;
    // Only a policy in the one form is given it back.
    let is_laid_out = laid_out(&before).is_ok_and(|text| text == before);
    let laid = laid_out(&after).ok().filter(|_| is_laid_out);
    replaced::replace(file, &laid.unwrap_or(after))
}
