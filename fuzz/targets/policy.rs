//! Any text is a policy or an error with a place in the text; a policy can be looked at, and
//! differs in nothing from itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ward_policy::{Digest, Rules};

fuzz_target!(|text: &str| {
    match Rules::load(text, Digest::from_bytes([0; 32])) {
        Ok(rules) => {
            drop(rules.lint());
            assert!(rules.changes_to(&rules).is_empty());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
