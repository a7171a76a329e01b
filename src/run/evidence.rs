//! What a yes takes beside who says it, and how a front end gets it.

use crate::client::Client;
use crate::passphrase;
use crate::signing;
use crate::trouble::Trouble;
use nix::unistd::Uid;
use std::path::Path;
use ward_mountd::control::message::{
    Binding, Command, Passphrase, PendingRequest, YesEvidence, YesTerms,
};

/// What a yes takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing more.
    Nothing,
    /// A signature: a rule wants one.
    Signature,
    /// The approval passphrase: the request is of our own uid.
    Passphrase,
}

impl Takes {
    /// What the yes of whoever runs this takes.
    pub(crate) fn of(request: &PendingRequest) -> Self {
        Self::of_user(request, Uid::effective().as_raw())
    }

    /// What the yes of a user takes.
    pub(crate) fn of_user(request: &PendingRequest, uid: u32) -> Self {
        let is_signed = |any: &Vec<String>| !any.iter().any(|factor| factor == "local");
        if request.factors.iter().any(is_signed) {
            Self::Signature
        } else if !request.may_answer && request.asker.uid == uid {
            Self::Passphrase
        } else {
            Self::Nothing
        }
    }

    /// Whether it is of use to ask for an answer.
    pub(crate) fn can_be_given(self, request: &PendingRequest) -> bool {
        request.may_answer || self == Self::Passphrase
    }
}

/// Gets it, asking on the terminal where that takes a person.
pub(crate) fn get(
    takes: Takes,
    client: &mut Client,
    (request, key): (&str, Option<&Path>),
) -> Result<Option<YesEvidence>, Trouble> {
    match takes {
        Takes::Nothing => Ok(None),
        Takes::Signature => {
            let wanted = binding(client, request)?;
            Ok(Some(YesEvidence::Signature(signing::sign(&wanted, key)?)))
        }
        Takes::Passphrase => {
            let typed = passphrase::for_approval(None)?;
            Ok(Some(YesEvidence::Passphrase(Passphrase(typed.to_string()))))
        }
    }
}

/// What is to be signed for all that the policy allows.
pub(crate) fn binding(client: &mut Client, request: &str) -> Result<Binding, Trouble> {
    let (request, terms) = (request.to_owned(), YesTerms::default());
    client.ask(Command::ApprovalBinding { request, terms })
}
