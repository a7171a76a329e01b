//! Who makes a version of a secret, as the store keeps it.

use ward_policy::Caller;
use ward_store::{Existing, Imprint, Maker, WallTime, Writing};

/// The process as the maker of what it writes.
fn maker(caller: &Caller) -> Maker {
    let executable = caller.executable.as_deref();
    Maker {
        uid: caller.uid.0,
        agent: caller.agent.as_ref().map(|agent| agent.name.as_str().into()),
        program: executable.and_then(|executable| executable.path.clone()),
    }
}

/// How `caller` writes a version that ends at `expires`.
pub(crate) fn writing(
    caller: &Caller,
    (time, expires): (WallTime, Option<WallTime>),
    existing: Existing,
) -> Writing {
    let imprint = Imprint { expires, maker: maker(caller) };
    Writing { time, imprint: Some(Box::new(imprint)), existing }
}
