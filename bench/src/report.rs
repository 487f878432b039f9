//! Results as tables for people and JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::Outcome;
use crate::measure::Row;

/// The rows of one scenario.
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) rows: Vec<Row>,
}

impl Section {
    /// The rows as a table in Markdown.
    pub(crate) fn table(&self) -> Outcome<String> {
        let mut table = String::from(
            "| case | callers | contestant | calls/s (slowest - fastest round) | p50 µs | p99 µs | ratio (least - most) | also |\n\
             |---|--:|---|--:|--:|--:|--:|---|\n",
        );
        for row in &self.rows {
            let (speed, ratio) = (row.per_second, row.ratio);
            writeln!(
                table,
                "| {} | {} | {} | {:.0} ({:.0} - {:.0}) | {:.1} | {:.1} | {:.2} ({:.2} - {:.2}) | {} |",
                row.case,
                row.callers,
                row.contestant,
                speed.median,
                speed.least,
                speed.most,
                row.p50_us,
                row.p99_us,
                ratio.median,
                ratio.least,
                ratio.most,
                row.fact.map(|fact| fact.to_string()).unwrap_or_default(),
            )?;
        }
        Ok(table)
    }

    fn to_json(&self) -> Vec<Value> {
        let rows = self.rows.iter();
        rows.map(|row| {
            json!({
                "scenario": self.name, "case": row.case, "callers": row.callers,
                "contestant": row.contestant, "per_second": row.per_second.median,
                "slowest_round": row.per_second.least, "fastest_round": row.per_second.most,
                "p50_us": row.p50_us, "p99_us": row.p99_us, "ratio": row.ratio.median,
                "least_ratio": row.ratio.least, "most_ratio": row.ratio.most,
                "fact": row.fact.map(crate::fact::Fact::to_json),
            })
        })
        .collect()
    }
}

/// Writes `target/bench/results.json` and `target/bench/table.md`, and prints the tables.
pub(crate) fn write(sections: &[Section], conditions: &str) -> Outcome<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder)?;
    let mut tables = format!("{conditions}\n");
    for section in sections {
        write!(tables, "\n## {}\n\n{}", section.name, section.table()?)?;
    }
    let rows: Vec<_> = sections.iter().flat_map(Section::to_json).collect();
    let results = json!({ "conditions": conditions, "rows": rows });
    std::fs::write(
        folder.join("results.json"),
        serde_json::to_vec_pretty(&results)?,
    )?;
    std::fs::write(folder.join("table.md"), &tables)?;
    println!("{tables}");
    Ok(())
}
