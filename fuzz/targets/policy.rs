//! Any text is a policy or an error with a place in the text; a policy can be looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ward_policy::{Digest, Rules};

fuzz_target!(|text: &str| {
    match Rules::load(text, Digest::from_bytes([0; 32])) {
        Ok(rules) => drop(rules.lint()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
