//! `ward policy risk`: the class of each operation, and what it comes to by the sensitivity of a target.

use crate::output::{Report, table};
use serde::Serialize;
use ward_policy::{Operation, Risk, Sensitivity};

/// The classes and the table.
#[derive(Debug, Serialize)]
pub(crate) struct RiskTable {
    /// By class of the operation, from low to critical.
    effective: Vec<RiskRow>,
    /// By operation, unless `[ops]` says otherwise.
    operations: Vec<OperationRisk>,
}

#[derive(Debug, Serialize)]
struct RiskRow {
    operation: &'static str,
    public: &'static str,
    internal: &'static str,
    restricted: &'static str,
    critical: &'static str,
}

#[derive(Debug, Serialize)]
struct OperationRisk {
    operation: &'static str,
    risk: &'static str,
}

/// Shows them.
pub(crate) fn run() -> Report<RiskTable> {
    let of = |risk: Risk, sensitivity| risk.with(sensitivity).name();
    let effective = Risk::ALL.map(|risk| RiskRow {
        operation: risk.name(),
        public: of(risk, Sensitivity::Public),
        internal: of(risk, Sensitivity::Internal),
        restricted: of(risk, Sensitivity::Restricted),
        critical: of(risk, Sensitivity::Critical),
    });
    let operation = |operation: &Operation| OperationRisk {
        operation: operation.name(),
        risk: operation.risk().name(),
    };
    let operations = Operation::ALL.iter().map(operation).collect();
    let answer = RiskTable { effective: effective.into(), operations };
    let text = told(&answer);
    Report::new(answer, text)
}

fn told(answer: &RiskTable) -> String {
    let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
    let head = Sensitivity::ALL.map(Sensitivity::name);
    let [public, internal, restricted, critical] = head;
    let mut rows = vec![row(["operation", public, internal, restricted, critical])];
    rows.extend(answer.effective.iter().map(|each| {
        row([each.operation, each.public, each.internal, each.restricted, each.critical])
    }));
    let mut text = table(&rows);
    text.push_str("\nunless [ops] says otherwise:\n");
    for risk in Risk::ALL.map(Risk::name) {
        let own = answer.operations.iter().filter(|each| each.risk == risk);
        let own: Vec<&str> = own.map(|each| each.operation).collect();
        text.push_str(&format!("{risk:<9}  {}\n", own.join(" ")));
    }
    text
}
