//! Who holds a lock, for people.

use std::sync::LazyLock;
use std::{env, fs, process};

/// `host:pid` of this process, as they were when it was asked for first.
pub(super) fn name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| format!("{}:{}", host(), process::id()));
    &NAME
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .or_else(|| env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_named_by_host_and_process() {
        let name = name();
        let (host, pid) = name.rsplit_once(':').unwrap();
        assert!(!host.is_empty());
        assert_eq!(pid, process::id().to_string());
    }
}
