//! `mainstay cache stats`.

use std::fmt::Write as _;
use std::process::ExitCode;

use mainstay::Name;
use serde_json::{Map, Value};

use super::open;
use crate::arguments::Global;
use crate::failure::Failure;
use crate::output;

pub(super) async fn print(cache: &str, global: &Global) -> Result<ExitCode, Failure> {
    let name = Name::new(cache)?;
    let mut sums = open(&name, global).await?.shared_stats().await?;
    sums.sort();
    if sums.is_empty() {
        if global.json {
            output::line(Value::Object(Map::new()))?;
        } else {
            output::complain(format_args!(
                "nothing is known of cache {name}: processes tell every 10 s what they count"
            ));
        }
        return Ok(ExitCode::from(1));
    }
    let sum = |name: &str| -> u64 {
        let found = sums.iter().find(|(known, _)| known == name);
        found.map_or(0, |(_, sum)| *sum)
    };
    let hits = sum("near_hits") + sum("remote_hits");
    let looks = hits + sum("misses");
    let mut answer: Map<String, Value> = Map::new();
    let mut table = String::new();
    for (name, sum) in &sums {
        answer.insert(name.clone(), (*sum).into());
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{:<18} {sum:>12}", name.replace('_', " "));
    }
    if looks > 0 {
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = hits as f64 / looks as f64;
        answer.insert("hit_ratio".to_owned(), share.into());
        let _ = write!(table, "{:<18} {:>11.1}%", "hit ratio", share * 100.0);
    }
    output::answer(global.json, &Value::Object(answer), table.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
