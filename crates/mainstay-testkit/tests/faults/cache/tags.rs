//! Many entries of one tag over several processes.

use futures_util::future::join_all;
use mainstay_testkit::fixture::{Flavor, Server, eventually};

use super::super::{BOUND, connect, extent, on_both_flavors, worker::Worker};
use super::{STALENESS, info_number, keys};

on_both_flavors! {
    t10_one_tag_of_many_entries_is_invalidated_at_once_and_for_good
    t10_a_tag_is_not_made_by_a_load_that_was_overtaken
}

/// A load has found the tag missing; before it makes it, an invalidation comes and goes, and the
/// tag, if it had been made, is evicted.
async fn t10_a_tag_is_not_made_by_a_load_that_was_overtaken(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let numbers = stay.cache::<u64>("numbers").tag("late").build().unwrap();
    let load = |server: &Server, number| {
        let (addr, numbers) = (server.addr(), numbers.clone());
        move || async move {
            numbers.invalidate_tags(["late"]).await?;
            let mut connection = mainstay_testkit::fixture::Connection::open(addr).await?;
            connection.command(&["DEL", "tag:{numbers}:late"]).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(number)
        }
    };
    for round in 0..extent(5, 50_u64) {
        let key = round.to_string();
        let got = numbers.get_or_load(&key, load(&server, round)).await;
        assert_eq!(got.unwrap(), round);
        assert_eq!(
            numbers.get(&key).await.unwrap(),
            None,
            "an overtaken load was stored"
        );
    }
    println!("{flavor}: T10 no overtaken load made its tag anew");
}

async fn t10_one_tag_of_many_entries_is_invalidated_at_once_and_for_good(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let url = server.url();
    let mut nodes = join_all((0..3).map(|_| Worker::cache(&url))).await;
    let count = extent(3_000_u64, 100_000);
    let work = format!("fill {count} plant");
    assert_eq!(nodes[0].ask(&work).await["loaded"], count);
    for node in &mut nodes {
        let read = node.ask(&format!("read {count}")).await;
        assert_eq!(read["found"], count);
    }

    // A load that began before, on another node.
    nodes[1].ask("hang held-back").await;
    nodes[2].begin("stampede late 10 300 plant|old").await;
    eventually("a lease", BOUND, async || {
        match keys(&server, "{cache:work:late}:l").await {
            leases if leases.is_empty() => Err("none".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    let before = info_number(&server, "stats", "total_commands_processed").await;
    nodes[0].ask("invalidate plant").await;
    let commands = info_number(&server, "stats", "total_commands_processed").await - before;
    assert_eq!(nodes[2].answer().await["served"], 10);
    tokio::time::sleep(STALENESS).await;
    let found = async |nodes: &mut Vec<Worker>| {
        let mut found = 0;
        for node in nodes.iter_mut() {
            let read = node.ask(&format!("read {count}")).await;
            found += read["found"].as_u64().unwrap();
            assert_eq!(read["incoherent"], 0);
        }
        found
    };
    let after = found(&mut nodes).await;

    // What was loaded before is not stored after.
    let late = nodes[0].ask("load late new plant").await;
    assert_eq!(late["value"], "plant|new");

    // A tag that is gone revives nothing.
    let tag = keys(&server, "tag:{work}:plant").await;
    assert_eq!(tag.len(), 1);
    server.command(&["DEL", "tag:{work}:plant"]).await;
    let revived = found(&mut nodes).await;
    println!(
        "{flavor}: T10 {count} entries of one tag on 3 nodes: {after} left after the bound, {revived} after the tag was deleted, {commands} commands"
    );
    assert_eq!((after, revived), (0, 0));
    // The call, its scripts' commands, and looking at the counter itself.
    assert!(commands < 40, "{commands}");

    // Everything has a time to live: nothing of the cache stays for ever.
    let immortal = "local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do if redis.call('TTL', k) == -1 then n = n + 1 end end return n";
    assert_eq!(server.command(&["EVAL", immortal, "0"]).await.integer(), 0);
    // And after its time nothing is left.
    let expire =
        "for _, k in ipairs(redis.call('KEYS', '*')) do redis.call('PEXPIRE', k, 1) end return 1";
    server.command(&["EVAL", expire, "0"]).await;
    drop(nodes);
    eventually("an empty server", BOUND, async || {
        match keys(&server, "*").await {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        }
    })
    .await;
}
