//! Finds keys by their prefix, some at a time (`SCAN`).

use redis::Value;

use super::commander::{Commander, Effect};
use super::reply;
use crate::backend::{ScanFrom, ScanPart};
use crate::error::Result;
use crate::key::StoreKey;

/// Keys that the server looks at for one answer: it does nothing else for less than a millisecond.
const LOOKED_AT: u32 = 1_000;

/// One part of the keys of a type below a prefix, which holds nothing that a pattern treats apart.
pub(super) async fn part(
    commander: &Commander,
    prefix: &StoreKey,
    key_type: &str,
    from: ScanFrom,
) -> Result<ScanPart> {
    let Some(node) = commander.key_on(from.node) else {
        return Ok(ScanPart::default());
    };
    let mut command = redis::cmd("SCAN");
    command.arg(from.cursor).arg("MATCH");
    command.arg(prefix.below("*").as_str()).arg("COUNT");
    command.arg(LOOKED_AT).arg("TYPE").arg(key_type);
    let found = commander.run(&node, &command, Effect::Read).await?;
    let [cursor, keys] = reply::fields(found)?;
    let next = match reply::count(&cursor)? {
        0 => ScanFrom {
            node: from.node + 1,
            cursor: 0,
        },
        cursor => ScanFrom { cursor, ..from },
    };
    let is_end = next.cursor == 0 && commander.key_on(next.node).is_none();
    Ok(ScanPart {
        names: names(prefix, keys)?,
        next: (!is_end).then_some(next),
    })
}

fn names(prefix: &StoreKey, keys: Value) -> Result<Vec<String>> {
    let keys = reply::list(keys)?.into_iter().map(reply::text);
    // Keys that are no text are not ours.
    let names = keys.flatten().filter_map(|key| {
        let name = key.strip_prefix(prefix.as_str());
        name.map(str::to_owned)
    });
    Ok(names.collect())
}
