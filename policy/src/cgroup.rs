//! The cgroup of a process, and what its path says.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The path of a cgroup as the daemon sees it (`cgroups(7)`), empty at the top.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cgroup(Arc<[u8]>);

/// Suffixes of the units that systemd makes cgroups for (`systemd.unit(5)`).
const UNITS: [&str; 3] = [".service", ".scope", ".slice"];
/// What container engines put before a container's id in the name of its cgroup.
const ENGINES: [&str; 5] = ["docker-", "libpod-", "cri-containerd-", "crio-", "containerd-"];
/// Hex digits of a container's id.
const ID: usize = 64;

impl Cgroup {
    /// A path, with or without its `/` at the start.
    pub fn new(path: &[u8]) -> Self {
        Self(path.into())
    }

    /// The bytes of the path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The systemd unit: the last part of the path that is the name of a service or scope, or else
    /// of a slice.
    pub fn unit(&self) -> Option<&str> {
        let parts = || self.parts().rev();
        let ends = |suffix: &'static str| parts().find(|part| part.ends_with(suffix));
        let [service, scope, slice] = UNITS;
        let works = parts().find(|part| part.ends_with(service) || part.ends_with(scope));
        works.or_else(|| ends(slice))
    }

    /// The container: the 64 hex digits that Docker, Podman and Kubernetes name one by, or the name
    /// of an LXC container or of a machine of systemd. A process cannot choose its cgroup.
    pub fn container(&self) -> Option<&str> {
        self.parts().rev().find_map(|part| {
            let bare = part.strip_suffix(".scope").unwrap_or(part);
            let id = ENGINES.iter().find_map(|engine| bare.strip_prefix(engine)).unwrap_or(bare);
            if id.len() == ID && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Some(id);
            }
            let machine =
                part.strip_suffix(".scope").and_then(|name| name.strip_prefix("machine-"));
            machine.or_else(|| part.strip_prefix("lxc.payload."))
        })
    }

    fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        let parts = self.0.split(|byte| *byte == b'/');
        parts.filter_map(|part| std::str::from_utf8(part).ok()).filter(|part| !part.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str) -> (Option<String>, Option<String>) {
        let cgroup = Cgroup::new(path.as_bytes());
        (cgroup.unit().map(str::to_owned), cgroup.container().map(str::to_owned))
    }

    #[test]
    fn the_unit_is_the_innermost_service_or_scope() {
        let unit = |path| told(path).0;
        assert_eq!(unit("/system.slice/agents.service").as_deref(), Some("agents.service"));
        assert_eq!(
            unit("/user.slice/user-1000.slice/user@1000.service/app.slice").as_deref(),
            Some("user@1000.service")
        );
        assert_eq!(unit("/user.slice").as_deref(), Some("user.slice"));
        assert_eq!(unit("/docker/abc"), None);
        assert_eq!(unit(""), None);
    }

    #[test]
    fn a_container_is_told_by_what_its_engine_names_the_cgroup() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/machine.slice/libpod-{id}.scope/container"),
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
        ] {
            assert_eq!(told(&path).1.as_ref(), Some(&id), "{path}");
        }
        assert_eq!(told("/machine.slice/machine-web.scope").1.as_deref(), Some("web"));
        assert_eq!(told("/lxc.payload.web/init.scope").1.as_deref(), Some("web"));
        assert_eq!(told("/user.slice/session-1.scope").1, None);
    }
}
