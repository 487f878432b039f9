//! `cargo xtask chaos`: the fault cases, at full length.

use crate::process::{self, Failure, Outcome, cargo};
use crate::{install, report};

/// Runs the fault cases against real servers, at full length.
///
/// Each case starts its own servers, breaks them or the network between (kill -9, pauses, lost
/// replies, failover) and checks that what mainstay promises still holds. `cargo xtask test` runs
/// the same cases, shortened. Missing servers and clients are installed first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask chaos                       every case\n  \
    cargo xtask chaos lock                  the cases about locks\n  \
    cargo xtask chaos lock failover pause   those whose name starts with failover or pause\n  \
    cargo xtask chaos --seconds 120         each case for two minutes")]
pub(crate) struct Options {
    /// Area of the cases to run, such as lock or queue; all areas if left out.
    area: Option<String>,
    /// Cases of the area, by the start of their names; all of them if left out.
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
    /// How long each case goes on, in seconds; each has a default of its own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let clients = install::all()?;
    let mut command = cargo([
        "test",
        "--release",
        "--package",
        "mainstay-testkit",
        "--test",
        "faults",
        "--",
        "--nocapture",
        "--test-threads",
        "1",
    ]);
    command
        .args(filters(options))
        .env("MAINSTAY_CHAOS", "full")
        .envs(clients.environment());
    if let Some(seconds) = options.seconds {
        command.env("MAINSTAY_CHAOS_SECONDS", seconds.to_string());
    }
    let watched = process::watch(&mut command)?;
    let totals = report::Totals::of(&watched.lines);
    println!("chaos: {totals}");
    watched.outcome?;
    if totals.run() == 0 {
        return Err(Failure::new("no fault case has such a name"));
    }
    Ok(())
}

/// Names are `area::case`, so an area is matched with its colons: `lock` is not `lockout`.
fn filters(options: &Options) -> Vec<String> {
    let Some(area) = &options.area else {
        return Vec::new();
    };
    if options.cases.is_empty() {
        return vec![format!("{area}::")];
    }
    let cases = options.cases.iter();
    cases.map(|case| format!("{area}::{case}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Options, filters};

    #[test]
    fn an_area_and_its_cases_become_test_filters() {
        let options = |area: Option<&str>, cases: &[&str]| Options {
            area: area.map(str::to_owned),
            cases: cases.iter().copied().map(str::to_owned).collect(),
            seconds: None,
        };
        assert_eq!(filters(&options(None, &[])), [""; 0]);
        assert_eq!(filters(&options(Some("lock"), &[])), ["lock::"]);
        assert_eq!(
            filters(&options(Some("lock"), &["failover", "pause"])),
            ["lock::failover", "lock::pause"]
        );
    }
}
