//! What is wrong with gloves 0.5.11 is absent here (docs/gloves.md), where no other test shows it.

mod commands;
mod confidentiality;
mod expiry;
mod identity;
mod names;
mod places;
mod robustness;
mod traced;
