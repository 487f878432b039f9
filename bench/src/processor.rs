//! Processor time that was used.

use std::fs;

use mainstay_testkit::fixture::Server;

use crate::Outcome;

/// Seconds that this process and the server have used.
pub(crate) async fn of_both(server: &Server) -> Outcome<(f64, f64)> {
    Ok((of_this()?, of_server(server).await?))
}

fn of_this() -> Outcome<f64> {
    of_process(std::process::id())
}

/// Seconds that a process on this machine has used.
pub(crate) fn of_process(id: u32) -> Outcome<f64> {
    // In hundredths of a second, on every Linux of today.
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields = stat.rsplit_once(") ").ok_or("no command in stat")?.1;
    let mut times = fields.split(' ').skip(11).map(str::parse::<f64>);
    let mut next = || times.next().ok_or("no time in stat");
    Ok((next()?? + next()??) / 100.0)
}

/// Seconds that the server has used.
pub(crate) async fn of_server(server: &Server) -> Outcome<f64> {
    let info = server.command(&["INFO", "cpu"]).await;
    let used = |name: &str| {
        let line = info.text().lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|seconds| seconds.trim().parse::<f64>().ok())
            .ok_or("no time in INFO cpu")
    };
    Ok(used("used_cpu_sys:")? + used("used_cpu_user:")?)
}
