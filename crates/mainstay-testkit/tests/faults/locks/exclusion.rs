//! Several processes never hold one lock at once.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use mainstay_testkit::fixture::{Flavor, Server};
use mainstay_testkit::oracle::{Held, check_locks};
use serde_json::Value;
use tokio::time::Instant;

use super::super::{BOUND, extent, on_both_flavors, worker};

on_both_flavors! {
    l2_processes_hold_each_lock_one_after_the_other
}

/// The history of each lock, from what `mainstay-worker lock` prints.
pub(super) fn histories(lines: &[Value]) -> BTreeMap<String, Vec<Held>> {
    let number = |line: &Value, field: &str| line[field].as_u64().unwrap();
    let key = |line: &Value| {
        let name = line["name"].as_str().unwrap().to_owned();
        (name, number(line, "fence"))
    };
    let mut released = BTreeMap::new();
    for line in lines.iter().filter(|line| line["released"].is_u64()) {
        // Two with one fence: the oracle sees both acquisitions.
        released.insert(key(line), number(line, "released"));
    }
    let mut histories = BTreeMap::<_, Vec<_>>::new();
    for line in lines.iter().filter(|line| line["acquired"].is_u64()) {
        let (name, fence) = key(line);
        let until = released[&(name.clone(), fence)];
        histories.entry(name).or_default().push(Held {
            from: Duration::from_micros(number(line, "acquired")),
            until: Duration::from_micros(until),
            fence,
        });
    }
    histories
}

async fn l2_processes_hold_each_lock_one_after_the_other(flavor: Flavor) {
    let (processes, sections) = extent((4, 25), (8, 2_000));
    let names = extent("one,two", "one,two,three,four");
    let server = Server::start(flavor).await;
    let url = server.url();
    let each = sections.to_string();
    let arguments = ["lock", &url, names, &each];
    let began = Instant::now();
    let bound = extent(BOUND, 20 * BOUND);
    let workers = (0..processes).map(|_| worker::run_by(None, &arguments, bound));
    let lines = join_all(workers).await.concat();
    let took = began.elapsed();
    let histories = histories(&lines);
    assert!(histories.keys().eq(&{
        let mut names: Vec<_> = names.split(',').map(str::to_owned).collect();
        names.sort_unstable();
        names
    }));
    for (name, history) in &histories {
        assert_eq!(history.len(), processes * sections, "{name}");
        assert_eq!(check_locks(history), Ok(()), "{name}");
    }
    println!(
        "{flavor}: L2 {processes} processes, {sections} sections each of {} locks in {took:?}: no overlap, fences rise",
        histories.len()
    );
}
