//! What a client of the sidecar asks for, and what it is told: a field `action` and its fields, a
//! `status` of `ok` or `error`.

use super::super::message::{
    Charset, Failure, GoesTo, Lifetime, Passphrase, PendingRequest, SecretText, Value as NewValue,
    YesTerms,
};
use super::super::requests::process;
use super::super::session::{About, Control};
use super::record::{self, Answer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ward_policy::Operation;
use ward_store::Existing;
use zeroize::Zeroizing;

/// The vault of names that name none.
const DEFAULT_VAULT: &str = "default";
/// How long a generated value is.
const GENERATED: u32 = 32;
/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;
/// Room for the longest answer, so that growing leaves no copy behind.
const LONGEST_ANSWER: usize = 2 << 20;

/// One request.
#[derive(Deserialize)]
pub(super) struct Asked {
    action: String,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    token: Option<Passphrase>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    value: Option<SecretText>,
    #[serde(default)]
    generate: bool,
    #[serde(default)]
    ttl_days: Option<Value>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    request_id: Option<String>,
}

/// One answer, in the order of its keys.
#[derive(Serialize)]
pub(super) struct Reply {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
}

/// What an answer has besides.
#[derive(Serialize)]
#[serde(untagged)]
enum Data {
    Any(Value),
    Text { secret: SecretText },
    Bytes { secret_base64: SecretText },
}

/// Why there is no answer but an error, in words.
type Fault = String;

impl Asked {
    pub(super) fn parse(line: &[u8]) -> Result<Self, Fault> {
        if line.trim_ascii().is_empty() {
            return Err("the request is empty".to_owned());
        }
        // Only the place: the text around it may be a secret.
        let asked: Self = serde_json::from_slice(line).map_err(|error| {
            format!("the line is no request: see its column {}", error.column())
        })?;
        if asked.agent.as_ref().is_some_and(String::is_empty) {
            return Err("the name of the agent is empty".to_owned());
        }
        Ok(asked)
    }

    pub(super) fn token(&self) -> &str {
        self.token.as_ref().map_or("", |token| token.0.as_str())
    }

    /// Vault and path.
    fn name(&self) -> Result<(&str, &str), Fault> {
        let name = self.name.as_deref().ok_or("the action takes a name")?;
        Ok(name.split_once(':').unwrap_or((DEFAULT_VAULT, name)))
    }

    fn request(&self) -> Result<&str, Fault> {
        self.request_id.as_deref().ok_or_else(|| "the action takes a request_id".to_owned())
    }

    fn new_value(&self) -> Result<NewValue, Fault> {
        match (&self.value, self.generate) {
            (Some(value), false) if value.0.is_empty() => Err("the value is empty".to_owned()),
            (Some(value), false) => {
                Ok(NewValue::Bytes(SecretText(STANDARD.encode(value.0.as_bytes()))))
            }
            (None, true) => {
                Ok(NewValue::Generate { length: GENERATED, charset: Charset::default() })
            }
            (None, false) | (Some(_), true) => {
                Err("give value, or generate: one of them".to_owned())
            }
        }
    }

    /// How many days the secret is served; for ever when nothing is said.
    fn days(&self) -> Result<Option<u64>, Fault> {
        let days = match &self.ttl_days {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text == "never" => return Ok(None),
            Some(Value::String(text)) => text.parse().ok(),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
        };
        let days = days.filter(|days| (1..=u64::MAX / DAY).contains(days));
        let fault = || "ttl_days is a number of whole days, or \"never\"".to_owned();
        days.map(Some).ok_or_else(fault)
    }

    fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }
}

impl Reply {
    pub(super) fn error(why: &str) -> Self {
        Self { status: "error", error: Some(why.to_owned()), message: None, data: None }
    }

    /// As a line, without its newline.
    pub(super) fn line(&self) -> Zeroizing<Vec<u8>> {
        let mut line = Zeroizing::new(Vec::with_capacity(LONGEST_ANSWER));
        // Every part of it can be written.
        let _written = serde_json::to_writer(&mut *line, self);
        line
    }

    const fn ok(message: &'static str, data: Option<Data>) -> Self {
        Self { status: "ok", error: None, message: Some(message), data }
    }
}

impl Control<'_> {
    /// Does what is asked, as any command of the same process is done.
    pub(super) fn act(self, asked: &Asked) -> Reply {
        let control = match asked.agent() {
            Some(name) => self.acting(name).map_err(said),
            None => Ok(self),
        };
        let done = control.and_then(|control| control.try_to_act(asked));
        done.unwrap_or_else(|fault| Reply::error(&fault))
    }

    fn try_to_act(&self, asked: &Asked) -> Result<Reply, Fault> {
        let data = |value: Value| Some(Data::Any(value));
        match asked.action.as_str() {
            "ping" => Ok(Reply::ok("pong", None)),
            "list" => {
                let names = self.list(DEFAULT_VAULT).map_err(said)?.names;
                let secrets = names.iter().map(record::secret);
                let list =
                    secrets.chain(self.known_requests().iter().map(record::listed)).collect();
                Ok(Reply::ok("ok", data(Value::Array(list))))
            }
            "verify" => {
                let verdict = self.audit_verify(None, false).map_err(said)?;
                if verdict.verdict == "whole" {
                    Ok(Reply::ok("ok", None))
                } else {
                    Err(verdict.finding)
                }
            }
            "status" => Ok(Reply::ok("ok", data(json!(self.status_of(asked.name()?)?)))),
            "get" => self.get_for(asked.name()?),
            "set" => self.set_for(asked),
            "revoke" => {
                let (vault, path) = asked.name()?;
                self.revoke(vault, path).map_err(said)?;
                Ok(Reply::ok("revoked", None))
            }
            "request" => {
                let reason = asked.reason.as_deref().ok_or("the action takes a reason")?;
                let operations = ["file.read".to_owned()];
                let made = self.request(asked.name()?, &operations, reason, None).map_err(said)?;
                Ok(Reply::ok("pending", data(json!({"request_id": made.request}))))
            }
            "approve" => self.approve_for(asked.request()?),
            "deny" => self.deny_for(asked.request()?, asked.reason.as_deref()),
            _ => Err("there is no such action".to_owned()),
        }
    }

    fn set_for(&self, asked: &Asked) -> Result<Reply, Fault> {
        let days = asked.days()?;
        let lifetime = days.map(|days| Lifetime::Seconds(days * DAY));
        let stored = self.set(asked.name()?, &asked.new_value()?, (lifetime, Existing::Keep));
        let set = json!({
            "id": asked.name, "ttl_days": days, "expires_at": stored.map_err(said)?.expires,
            "never_expires": days.is_none(),
        });
        Ok(Reply::ok("ok", Some(Data::Any(set))))
    }

    fn get_for(&self, (vault, path): (&str, &str)) -> Result<Reply, Fault> {
        let secret = self.get(vault, path, &GoesTo::Asker).map_err(said)?.value;
        let mut bytes = Zeroizing::new(vec![0; secret.0.len()]);
        let length = STANDARD.decode_slice(secret.0.as_bytes(), &mut bytes);
        bytes.truncate(length.map_err(|error| error.to_string())?);
        let data = match std::str::from_utf8(&bytes) {
            Ok(text) => Data::Text { secret: SecretText(text.to_owned()) },
            Err(_) => Data::Bytes { secret_base64: secret },
        };
        Ok(Reply::ok("ok", Some(data)))
    }

    /// Requests that wait, if the client may know of them.
    fn known_requests(&self) -> Vec<PendingRequest> {
        let may_know = self.may(Operation::RequestList, About::default());
        if may_know { self.waiting().requests } else { Vec::new() }
    }

    fn approve_for(&self, request: &str) -> Result<Reply, Fault> {
        let record = self.record_of(request);
        let missing = self.approve(request, &YesTerms::default(), None).map_err(said)?.missing;
        let by = record::by(&process(&self.caller));
        let answer = if missing == 0 { Answer::Yes(&by) } else { Answer::None };
        Ok(Reply::ok("approved", record.map(|it| Data::Any(record::reviewed(&it, answer)))))
    }

    fn deny_for(&self, request: &str, reason: Option<&str>) -> Result<Reply, Fault> {
        let record = self.record_of(request);
        self.deny(request, reason).map_err(said)?;
        let by = record::by(&process(&self.caller));
        let told = record.map(|it| Data::Any(record::reviewed(&it, Answer::No(&by))));
        Ok(Reply::ok("denied", told))
    }

    /// A request that waits, for whoever turns out to be one who answers it.
    fn record_of(&self, request: &str) -> Option<PendingRequest> {
        self.waiting().requests.into_iter().find(|it| it.request == request)
    }

    /// How a secret stands for who asks: to be had, asked for, over, or none of that.
    fn status_of(&self, (vault, path): (&str, &str)) -> Result<&'static str, Fault> {
        let known = self.secret_status(vault, path).map_err(said)?;
        Ok(match known.state.as_str() {
            "available" | "approved" => "fulfilled",
            "pending" => "pending",
            "expired" => "expired",
            _ => "denied",
        })
    }
}

fn said(failure: Failure) -> Fault {
    match failure.next {
        Some(next) => format!("{}; next: {next}", failure.message),
        None => failure.message,
    }
}
