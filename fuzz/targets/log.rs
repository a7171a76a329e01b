//! Any bytes are a segment that is whole, torn or broken, the start agrees with the check about it,
//! and what a start has opened is whole.
#![no_main]
#![expect(clippy::disallowed_methods, reason = "what is written is for one input, in memory")]

use libfuzzer_sys::fuzz_target;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use ward_audit::{BootId, Filter, Log, LogKey, Settings, Stamp, Verdict, read, verify};
use ward_memory::SecretBox;
use ward_policy::Moment;

fuzz_target!(|segment: &[u8]| {
    let folder = std::env::temp_dir().join("audit");
    let _absent_at_first = fs::remove_dir_all(&folder);
    fs::DirBuilder::new().mode(0o700).create(&folder).expect("room for a log");
    fs::write(folder.join("0000000001.jsonl"), segment).expect("room for a segment");

    let report = verify(&folder, None).expect("the files can be read");
    let _shown = read(&folder, &Filter::default(), |_| ControlFlow::Continue(()));
    let boot = BootId::try_from("7c6a1b52-0d3e-4f6a-9b1c-2d3e4f5a6b7c").expect("an id");
    let now = Stamp { wall: 1_795_234_965_000_000, boot: Moment::from_nanoseconds(5) };
    let key = LogKey::from_bytes(&SecretBox::make(|| [7; 32]));
    let opened = Log::open(&folder, key, Settings::new(boot), now);
    let is_good = matches!(report.verdict, Verdict::Whole | Verdict::Torn { .. });
    // A whole log of somebody else's is refused for its identity alone.
    let is_foreign =
        opened.as_ref().is_err_and(|error| error.to_string().contains("another identity"));
    if !is_foreign {
        assert_eq!(opened.is_ok(), is_good, "{:?} and {report:?}", opened.as_ref().err());
    }
    if let Ok((log, _)) = opened {
        log.close(now).expect("room for the end");
        let after = verify(&folder, None).expect("the files can be read");
        assert_eq!(after.verdict, Verdict::Whole);
    }
});
