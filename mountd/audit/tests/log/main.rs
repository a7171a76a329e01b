//! The log as others see it: its bytes, what is found when they change, and what a crash leaves.

mod canonical;
mod ended;
mod example;
mod gaps;
mod grants;
mod names;
mod opening;
mod proofs;
mod segments;
mod signatures;
mod signers;
mod standing;
mod support;
mod tampering;
mod torn;
