//! A house: a stage whose daemon and callers live in a pid namespace of their own.

use super::person::Person;
use super::stage::{HOLD, Stage};
use super::users::user;
use super::ward::WARD;
use serde_json::Value;

/// A mounted stage in a pid namespace, with a `/proc` that shows it.
pub(crate) struct House {
    /// Its first process, of root: with it everything in the house ends. Dropped first.
    inside: Person,
    stage: Stage,
    /// The number of the first process outside of the house.
    first: u32,
}

impl House {
    /// A house with more rules; `None`, with a word why, where there can be none.
    pub(crate) fn with(rules: &str) -> Option<Self> {
        let stage = Stage::still(HOLD, rules)?;
        let wrapper = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
        let mut inside = Person::started_by(&wrapper, None);
        assert_eq!(inside.must("os.getpid()"), 1);
        let outer = inside.pid();
        let children = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"));
        let first = children.unwrap().trim().parse().unwrap();
        let mut house = Self { inside, stage, first };
        house.ward(&["daemon", "start"]);
        let mountpoint = house.stage.mountpoint().to_owned();
        house.ward(&["vault", "mount", "default", &mountpoint]);
        Some(house)
    }

    /// Has the numbers of the house begin anew after `most`; `false`, with a word why, where the
    /// kernel has one limit for all namespaces.
    pub(crate) fn has_few_numbers(&mut self, most: u32) -> bool {
        let release = nix::sys::utsname::uname().unwrap().release().to_str().unwrap().to_owned();
        let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
        if (numbers.next(), numbers.next()) < (Some(6), Some(14)) {
            eprintln!("skipped: pid_max of a namespace takes Linux 6.14, this is {release}");
            return false;
        }
        self.inside.must(&format!("write('/proc/sys/kernel/pid_max', '{most}', 0)"));
        true
    }

    /// The stage, whose log can be read from outside.
    pub(crate) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The number of its first process, as it is outside.
    pub(crate) const fn first(&self) -> u32 {
        self.first
    }

    /// A process of `user` in the house, which sees its mounts.
    pub(crate) fn person(&self, user: &str) -> Person {
        self.entered(&["--mount", "--pid"], user)
    }

    /// A process of `user` that sees the mounts of the house and has no number in it.
    pub(crate) fn visitor(&self, user: &str) -> Person {
        self.entered(&["--mount"], user)
    }

    fn entered(&self, namespaces: &[&str], name: &str) -> Person {
        let (target, user) = (format!("--target={}", self.first), user(name));
        let (uid, gid) = (format!("--reuid={}", user.uid), format!("--regid={}", user.gid));
        let enter = [&["nsenter", target.as_str()], namespaces].concat();
        let wrapper = [&enter[..], &["setpriv", &uid, &gid, "--clear-groups"]].concat();
        Person::started_by(&wrapper, None)
    }

    /// Runs `ward` in the house as root, which must succeed; gives what it wrote to stdout.
    pub(crate) fn ward(&mut self, arguments: &[&str]) -> String {
        let words = serde_json::to_string(arguments).unwrap();
        let root = self.stage.root().path();
        let step = format!("run({WARD:?}, *{words}, env={{'WARD_ROOT': {root:?}}})");
        let ended = self.inside.must(&step);
        assert_eq!(ended[0], 0, "{ended}");
        ended[1].as_str().unwrap().to_owned()
    }

    /// Writes a secret; gives its path.
    pub(crate) fn secret(&mut self, name: &str, value: &str) -> String {
        let path = self.stage.path(name);
        self.inside.must(&format!("os.makedirs(os.path.dirname({path:?}), exist_ok=True)"));
        self.inside.must(&format!("write({path:?}, {value:?})"));
        path
    }

    /// Waits until an open of `secret` is held, and answers it with yes.
    pub(crate) fn approve(&mut self, secret: &str) {
        let mut request = None;
        let is_held = super::wait::until(|| {
            let listed = self.ward(&["--json", "list", "--pending"]);
            let listed: Value = serde_json::from_str(&listed).unwrap();
            let mut requests = listed["result"]["requests"].as_array().unwrap().iter();
            let found = requests.find(|it| it["path"] == secret && it["is_held"] == true);
            request = found.map(|it| it["request"].as_str().unwrap().to_owned());
            request.is_some()
        });
        assert!(is_held, "no open of {secret} is held");
        self.ward(&["approve", &request.unwrap()]);
    }
}
