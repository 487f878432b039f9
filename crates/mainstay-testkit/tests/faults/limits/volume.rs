//! Many subjects: what one costs, and that nothing of them stays.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use mainstay::ratelimit::{Limiter, Policy};
use mainstay_testkit::fixture::{Flavor, Server, eventually};

use super::{connect, extent, on_both_flavors};

const AT_ONCE: usize = 64;

on_both_flavors! {
    r8_subjects_that_are_quiet_leave_nothing
    r8_a_subject_costs_few_bytes
}

async fn r8_subjects_that_are_quiet_leave_nothing(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let second = Duration::from_secs(1);
    let limiters = [
        Policy::window("window", 5, second),
        Policy::exact("exact", 5, second),
        Policy::gcra("gcra", 5, second, 5),
        Policy::fixed("fixed", 5, mainstay::ratelimit::Unit::Second, "UTC"),
    ]
    .map(|policy| stay.limiter(policy.unwrap()));
    let subjects = extent(4_000, 1_000_000);
    let calls = (0..subjects).map(|subject: usize| {
        let limiter = &limiters[subject % limiters.len()];
        async move {
            limiter
                .check(&subject.to_string())
                .await
                .unwrap()
                .is_allowed()
        }
    });
    let allowed = stream::iter(calls).buffer_unordered(AT_ONCE);
    let allowed = allowed
        .filter(|allowed| std::future::ready(*allowed))
        .count()
        .await;
    assert_eq!(allowed, subjects);
    let patience = Duration::from_secs(30);
    eventually("nothing is left", patience, async || {
        match server.command(&["DBSIZE"]).await.integer() {
            0 => Ok(()),
            left => Err(format!("{left} keys")),
        }
    })
    .await;
    println!("{flavor}: R8 {subjects} subjects, then quiet: 0 keys");
}

async fn bytes(server: &Server, limiter: &Limiter, subject: &str) -> i64 {
    let name = limiter.policies()[0].name();
    let key = format!("rl:{{{subject}}}:{name}");
    server.command(&["MEMORY", "USAGE", &key]).await.integer()
}

async fn r8_a_subject_costs_few_bytes(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let period = Duration::from_secs(3);
    let bucket = stay.limiter(Policy::gcra("g", 100, period, 100).unwrap());
    assert!(bucket.check("192.0.2.1").await.unwrap().is_allowed());
    let of_bucket = bytes(&server, &bucket, "192.0.2.1").await;

    // Every bucket of the window counts something.
    let window = stay.limiter(Policy::window("w", 100_000, period).unwrap());
    let mut pause = tokio::time::interval(period / 120);
    for _ in 0..130 {
        pause.tick().await;
        assert!(
            window
                .check_cost("192.0.2.1", 300)
                .await
                .unwrap()
                .is_allowed()
        );
    }
    let of_window = bytes(&server, &window, "192.0.2.1").await;
    println!(
        "{flavor}: R8 bytes a subject: gcra {of_bucket}, window of 60 full buckets {of_window}"
    );
    assert!(of_bucket <= 100, "{of_bucket} bytes");
    assert!(of_window <= 350, "{of_window} bytes");
}
