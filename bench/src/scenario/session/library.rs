//! A session that is loaded without a server around it, beside the same commands and a `GET` on a bare
//! connection.

use std::sync::Arc;

use mainstay::Mainstay;
use mainstay_testkit::fixture::{Flavor, Server};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Pipeline, Value};

use super::Profile;
use super::profile::Claims;
use crate::Outcome;
use crate::measure::{Contestant, Plan, Row, compare};
use crate::scenario::connection;

const CALLERS: [usize; 2] = [1, 64];
const PLAIN: &str = "plain";

pub(super) async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let server = Server::start(Flavor::Redis).await;
    let sessions = Mainstay::connect(&server.url())
        .await?
        .sessions::<Claims>()
        .build()?;
    let mut ids = Vec::new();
    for number in 0..CALLERS[1] {
        let user = Profile::user(number);
        ids.push(sessions.create(&user, &Claims::usual()).await?.id);
    }
    let ids = Arc::new(ids);
    let bare = connection::bare(&server.url()).await?;
    let value = serde_json::to_vec(&Profile::of(&Profile::user(0)))?;
    connection::set(&bare, PLAIN, &value).await?;
    let (wire, _running) = connection::raw_link(&server.url()).await?;
    let contestants = [
        Contestant::new("mainstay sessions.load", move |caller| {
            let (sessions, ids) = (sessions.clone(), Arc::clone(&ids));
            async move {
                let session = sessions.load(&ids[caller]).await?;
                let session = session.ok_or("a session is gone")?;
                assert_eq!(session.data.role, "administrator");
                Ok(())
            }
        }),
        replies("raw link, same commands", wire.clone(), same(&bare).await?),
        replies("raw link GET", wire, get()),
        replies("redis-rs GET", bare, get()),
    ];
    let mut rows = Vec::new();
    for callers in CALLERS {
        rows.extend(compare(plan, "load", callers, &contestants).await?);
    }
    Ok(rows)
}

fn get() -> Pipeline {
    let mut commands = redis::pipe();
    commands.cmd("GET").arg(PLAIN);
    commands
}

/// What a load asks for: the server's time, the session's record, and the user's epoch.
async fn same(connection: &MultiplexedConnection) -> Outcome<Pipeline> {
    let mut keys = redis::cmd("KEYS");
    keys.arg("session:*");
    let keys: Vec<String> = keys.query_async(&mut connection.clone()).await?;
    let record = keys.first().ok_or("no session is stored")?;
    let tag = record.split(':').nth(1).ok_or("a session of nobody")?;
    let user = format!("user:{tag}");
    let mut commands = redis::pipe();
    commands.cmd("TIME");
    commands.cmd("GET").arg(record);
    commands.cmd("GET").arg(user);
    Ok(commands)
}

fn replies<C>(name: &'static str, connection: C, commands: Pipeline) -> Contestant
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    let commands = Arc::new(commands);
    Contestant::new(name, move |_| {
        let (mut connection, commands) = (connection.clone(), Arc::clone(&commands));
        async move {
            let replies: Vec<Value> = commands.query_async(&mut connection).await?;
            if replies.contains(&Value::Nil) {
                return Err(format!("{name} found nothing").into());
            }
            Ok(())
        }
    })
}
