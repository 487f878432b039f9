//! Replies that are lost: what was done is done once.

use mainstay::session::{Renewed, SessionId, Sessions};
use mainstay::{ErrorKind, Mainstay};
use mainstay_testkit::fixture::{FaultProxy, Flavor, Server};

use super::{extent, on_both_flavors};

on_both_flavors! {
    s10_a_lost_reply_does_nothing_twice_and_undoes_nothing
}

struct Lossy {
    _server: Server,
    proxy: FaultProxy,
    sessions: Sessions<u64>,
    /// Of a client whose replies arrive.
    sure: Sessions<u64>,
}

impl Lossy {
    async fn start(flavor: Flavor) -> Self {
        let server = Server::start(flavor).await;
        let proxy = FaultProxy::start(server.addr()).await;
        let sessions = |stay: Mainstay| stay.sessions().secret("faults").build().unwrap();
        Self {
            sessions: sessions(Mainstay::connect(&proxy.url()).await.unwrap()),
            sure: sessions(Mainstay::connect(&server.url()).await.unwrap()),
            _server: server,
            proxy,
        }
    }

    /// A session, of whose next replies the `n`-th is lost.
    async fn about_to_lose(&self, n: u32) -> SessionId {
        self.sure.revoke_all("ada").await.unwrap();
        let id = self.sure.create("ada", &0).await.unwrap().id;
        // The connection is there, and the server knows the scripts.
        assert_eq!(self.value(&id).await, Some(0));
        self.sessions.load(&id).await.unwrap().expect("it is valid");
        self.proxy.drop_reply(n);
        id
    }

    async fn value(&self, id: &SessionId) -> Option<u64> {
        let session = self.sure.load(id).await.unwrap();
        session.map(|session| session.data)
    }

    async fn listed(&self) -> usize {
        self.sure.list("ada").await.unwrap().len()
    }
}

fn issued(renewed: Renewed) -> SessionId {
    match renewed {
        Renewed::Issued(issued) => issued.id,
        Renewed::Elsewhere | Renewed::Ended => panic!("{renewed:?}"),
    }
}

async fn s10_a_lost_reply_does_nothing_twice_and_undoes_nothing(flavor: Flavor) {
    let lossy = Lossy::start(flavor).await;
    let mut unknown = [0; 2];
    for round in 0..extent(6, 60) {
        let n = 1 + round % 3;
        let id = lossy.about_to_lose(n).await;
        let session = lossy.sessions.load(&id).await.unwrap();
        assert_eq!(
            session.map(|session| session.data),
            Some(0),
            "a read is read again"
        );

        // A log-in whose reply is lost: nobody is logged in, and at most one session is left.
        lossy.about_to_lose(1).await;
        match lossy.sessions.create("ada", &7).await {
            Ok(issued) => assert_eq!(lossy.value(&issued.id).await, Some(7)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unknown, "{error:?}");
                unknown[0] += 1;
            }
        }
        assert!(lossy.listed().await <= 2);

        // A count is never made twice.
        let id = lossy.about_to_lose(3 + n).await;
        let outcome = lossy.sessions.update(&id, |count| *count += 1).await;
        let count = lossy.value(&id).await.unwrap();
        match outcome {
            Ok(updated) => assert_eq!((updated, count), (Some(()), 1)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unknown, "{error:?}");
                assert!(count <= 1, "counted twice");
                unknown[1] += 1;
            }
        }

        let id = lossy.about_to_lose(1).await;
        let new = issued(lossy.sessions.rotate(&id).await.unwrap());
        let session = lossy.sure.load(&id).await.unwrap().unwrap();
        assert_eq!(session.renewed, Some(new.clone()), "one successor");
        assert_eq!(
            (lossy.value(&new).await, lossy.listed().await),
            (Some(0), 1)
        );

        let id = lossy.about_to_lose(1).await;
        let new = issued(lossy.sessions.authenticate_again(&id).await.unwrap());
        assert_eq!(
            (lossy.value(&new).await, lossy.listed().await),
            (Some(0), 1)
        );

        let id = lossy.about_to_lose(1).await;
        lossy.sessions.revoke(&id).await.unwrap();
        assert_eq!((lossy.value(&id).await, lossy.listed().await), (None, 0));

        let id = lossy.about_to_lose(1).await;
        let other = lossy.sure.create("ada", &1).await.unwrap().id;
        lossy
            .sessions
            .revoke_others(&id)
            .await
            .unwrap()
            .expect("it is valid");
        assert_eq!(lossy.value(&other).await, None);
        assert_eq!((lossy.value(&id).await, lossy.listed().await), (Some(0), 1));

        let id = lossy.about_to_lose(1).await;
        lossy.sessions.revoke_all("ada").await.unwrap();
        assert_eq!((lossy.value(&id).await, lossy.listed().await), (None, 0));
    }
    println!(
        "{flavor}: S10 {} replies lost: {} log-ins and {} changes of unknown outcome, none made twice",
        lossy.proxy.dropped_replies(),
        unknown[0],
        unknown[1],
    );
    assert!(unknown.iter().all(|count| *count > 0), "{unknown:?}");
}
