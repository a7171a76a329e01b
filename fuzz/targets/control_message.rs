//! Any line is a request or an error; a request that is written again is the same request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ward_mountd::control::message::Request;

fuzz_target!(|line: &[u8]| {
    if let Ok(request) = serde_json::from_slice::<Request>(line) {
        let written = serde_json::to_string(&request).expect("a request has a form");
        let again: Request = serde_json::from_str(&written).expect("what we write, we read");
        assert_eq!(serde_json::to_string(&again).expect("a request has a form"), written);
    }
});
