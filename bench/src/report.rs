//! Results as a table for people and JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use crate::Outcome;
use crate::measure::Row;

/// Writes `target/bench/results.json` and `target/bench/table.md`, and prints the table.
pub fn write(rows: &[Row]) -> Outcome<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder)?;
    let mut table = String::from(
        "| scenario | callers | contestant | calls/s (median) | slowest - fastest round | p50 us | p99 us | ratio |\n\
         |---|--:|---|--:|---|--:|--:|--:|\n",
    );
    for row in rows {
        writeln!(
            table,
            "| {} | {} | {} | {:.0} | {:.0} - {:.0} | {:.1} | {:.1} | {:.2} |",
            row.scenario,
            row.callers,
            row.contestant,
            row.per_second,
            row.slowest_round,
            row.fastest_round,
            row.p50_us,
            row.p99_us,
            row.ratio
        )?;
    }
    let results: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "scenario": row.scenario, "callers": row.callers, "contestant": row.contestant,
                "per_second": row.per_second, "slowest_round": row.slowest_round,
                "fastest_round": row.fastest_round, "p50_us": row.p50_us, "p99_us": row.p99_us,
                "ratio": row.ratio,
            })
        })
        .collect();
    std::fs::write(
        folder.join("results.json"),
        serde_json::to_vec_pretty(&results)?,
    )?;
    std::fs::write(folder.join("table.md"), &table)?;
    println!("{table}");
    Ok(())
}
