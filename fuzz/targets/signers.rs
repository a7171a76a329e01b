//! Any text is a list of signers, or an error with a place in it; any bytes are a signature or none, and
//! none verifies that nobody made.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ward_mountd::factor::{AllowedSigners, SshSignature};

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    match AllowedSigners::parse(&text) {
        Ok(signers) => {
            let keys = signers.keys_of(|_| true, jiff::Timestamp::UNIX_EPOCH);
            assert!(keys.iter().all(|key| !key.contains('\n')));
        }
        Err(error) => assert!(error.to_string().contains("line")),
    }
    for signature in [SshSignature::from_text(&text), SshSignature::from_bytes(input)] {
        let Ok(signature) = signature else { continue };
        assert!(SshSignature::from_bytes(signature.bytes()).is_ok());
        let digest = signature.digest(b"what nobody signed");
        assert!(signature.verify(&digest).is_err());
    }
});
