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
    cargo xtask chaos cache                 the cases about the cache\n  \
    cargo xtask chaos cache T1 T5           those whose name starts with t1_ or t5_\n  \
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

const FAULTS: [&str; 8] = [
    "test",
    "--release",
    "--package",
    "mainstay-testkit",
    "--package",
    "mainstay-cli",
    "--test",
    "faults",
];

pub(crate) fn run(options: &Options) -> Outcome {
    let clients = install::all()?;
    let listed = process::watch(cargo(FAULTS).args(["--", "--list"]))?;
    listed.outcome?;
    let names: Vec<_> = listed
        .lines
        .iter()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect();
    let chosen = chosen(options, &names)?;
    let mut command = cargo(FAULTS);
    command.args(["--", "--nocapture", "--test-threads", "1"]);
    if !chosen.is_empty() {
        command.arg("--exact");
    }
    command
        .args(chosen)
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

/// The exact names of the tests to run, of all names; none for all of them.
///
/// A name is `area::..::case`: the case is its last part. `T1` is the case whose name starts with
/// `t1_`, and not `t10_`.
fn chosen(options: &Options, names: &[String]) -> Outcome<Vec<String>> {
    let Some(area) = &options.area else {
        return Ok(Vec::new());
    };
    let areas = [format!("{area}::"), format!("{area}s::")];
    let starts: Vec<_> = options.cases.iter().map(|case| start_of(case)).collect();
    let wanted = |name: &&String| {
        let case = name.rsplit("::").next().unwrap_or_default();
        areas.iter().any(|area| name.starts_with(area))
            && (starts.is_empty() || starts.iter().any(|start| case.starts_with(start)))
    };
    let found: Vec<_> = names.iter().filter(wanted).cloned().collect();
    if found.is_empty() {
        return Err(Failure::new("no fault case has such a name"));
    }
    Ok(found)
}

/// A letter and a number is a whole word of a name.
fn start_of(case: &str) -> String {
    let case = case.to_lowercase();
    let number = case.get(1..).unwrap_or_default();
    if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("{case}_")
    } else {
        case
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, chosen};

    #[test]
    fn an_area_and_its_cases_become_test_names() {
        let names = [
            "cache::stampede::redis::t1_one_load",
            "cache::tags::redis::t10_one_tag",
            "locks::redis::failover_of_a_lock",
            "link::valkey::failover",
        ]
        .map(str::to_owned);
        let names_of = |area: Option<&str>, cases: &[&str]| {
            let options = Options {
                area: area.map(str::to_owned),
                cases: cases.iter().copied().map(str::to_owned).collect(),
                seconds: None,
            };
            chosen(&options, &names).ok()
        };
        assert_eq!(names_of(None, &[]), Some(vec![]));
        assert_eq!(
            names_of(Some("cache"), &["T1"]),
            Some(vec![names[0].clone()])
        );
        assert_eq!(names_of(Some("cache"), &[]), Some(names[..2].to_vec()));
        assert_eq!(
            names_of(Some("lock"), &["failover"]),
            Some(vec![names[2].clone()])
        );
        assert_eq!(names_of(Some("cache"), &["T3"]), None);
    }
}
