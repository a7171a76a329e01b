//! What `[defaults]` says of guards.

use super::{BreakerSettings, GuardSettings, RateSettings, RiskSettings};
use crate::rule_text::{Fault, Field, Table};
use std::time::Duration;

/// No guard remembers longer.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl GuardSettings {
    /// Reads `rate` and `risk` of `[defaults]`.
    pub(crate) fn read(defaults: &Table<'_>) -> Result<Self, Fault> {
        let (rate, breaker) = match defaults.field("rate") {
            Some(rate) => read_rate(rate)?,
            None => (None, None),
        };
        let risk = defaults.field("risk").map(read_risk).transpose()?;
        Ok(Self { rate, breaker, risk })
    }
}

/// `{ max = 600, per = "1m" }`, and with `breaker = 10, within = "1m", cooldown = "5m"` the breaker.
fn read_rate(field: Field<'_>) -> Result<(Option<RateSettings>, Option<BreakerSettings>), Fault> {
    let table = field.table()?;
    table.allow_only(&["max", "per", "breaker", "within", "cooldown"], &[])?;
    let max = table.required("max", "max = 600")?.count()?;
    let per = table.required("per", "per = \"1m\"")?.duration(LONGEST)?;
    let Some(breaker) = table.field("breaker") else {
        for key in ["within", "cooldown"] {
            if let Some(field) = table.field(key) {
                let message =
                    format!("`{key}` belongs to `breaker`; add breaker = 10, or remove it");
                return Err(field.key_fault(message));
            }
        }
        return Ok((Some(RateSettings { max, per }), None));
    };
    let breaker = BreakerSettings {
        denials: breaker.count()?,
        within: table.required("within", "within = \"1m\"")?.duration(LONGEST)?,
        cooldown: table.required("cooldown", "cooldown = \"5m\"")?.duration(LONGEST)?,
    };
    Ok((Some(RateSettings { max, per }), Some(breaker)))
}

/// `{ window = "1h", escalate = 30, deny = 75 }`.
fn read_risk(field: Field<'_>) -> Result<RiskSettings, Fault> {
    let table = field.table()?;
    table.allow_only(&["window", "escalate", "deny"], &[])?;
    let window = table.required("window", "window = \"1h\"")?.duration(LONGEST)?;
    let escalate = table.required("escalate", "escalate = 30")?.count()?;
    let deny = table.required("deny", "deny = 75")?;
    let settings = RiskSettings { window, escalate, deny: deny.count()? };
    if settings.deny < settings.escalate {
        return Err(deny.fault("`deny` is less than `escalate`: nobody would be asked; raise it"));
    }
    Ok(settings)
}
