//! Every behaviour on every backend.

/// Stamps the listed behaviours as tests on the given subject.
macro_rules! stamp {
    ([$subject:expr] $($area:ident { $($name:ident)* })*) => {$(
        mod $area {$(
            #[tokio::test]
            async fn $name() {
                use mainstay_testkit::fixture::Flavor;
                use mainstay_testkit::suite::{self, Subject};

                let _unused_by_some = Flavor::ALL;
                let subject = $subject.await;
                let behaviour = suite::$area::$name(&subject);
                let bound = 3 * Subject::BOUND;
                tokio::time::timeout(bound, behaviour).await.expect("a behaviour ends");
            }
        )*}
    )*};
}

mod suite {
    mod memory {
        mainstay_testkit::behaviours!(stamp![Subject::memory()]);
    }
    mod redis {
        mainstay_testkit::behaviours!(stamp![Subject::server(Flavor::Redis)]);
    }
    mod valkey {
        mainstay_testkit::behaviours!(stamp![Subject::server(Flavor::Valkey)]);
    }
    mod cluster {
        mainstay_testkit::behaviours!(stamp![Subject::cluster()]);
    }
}
