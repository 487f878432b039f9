//! Log-ins and requests of a node of its own.
//!
//! Reads lines of work from standard input and answers each by one of JSON:
//! ```text
//! create USER IDLE_MS ABSOLUTE_MS   the id
//! load ID                           whether it is valid, and who it is
//! rotate ID                         the new id
//! log-ins USER CALLERS              nothing yet: callers log in, and look, until the input ends;
//!                                   then a line for each log-in
//! ```
//! Times are microseconds since the machine was started.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay::session::{LoggedIn, Renewed, Sessions};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::task::JoinSet;

use super::clock::{WorkerClock, since_boot_micros};
use super::{Outcome, connect, print};
use mainstay::clock::Clock as _;

type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(super) async fn serve(url: &str) -> Outcome {
    let sessions = connect(url)
        .await?
        .sessions::<Value>()
        .secret("faults")
        .build()?;
    print(&json!({"ready": true, "unix": WorkerClock.unix().as_secs()}))?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    let mut work = BufReader::new(stdin()).lines();
    while let Some(line) = work.next_line().await? {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["create", user, idle, absolute] => {
                let millis = |text: &str| text.parse().map(Duration::from_millis);
                let log_in = sessions.log_in(user, &Value::Null);
                let log_in = log_in.idle(millis(idle)?).absolute(millis(absolute)?);
                let LoggedIn::Issued(issued) = log_in.create().await? else {
                    return Err("there is no limit of sessions".into());
                };
                print(&json!({"id": issued.id.expose()}))?;
            }
            ["load", id] => {
                let session = sessions.load(&id.parse()?).await?;
                print(
                    &json!({"valid": session.is_some(), "user": session.and_then(|it| it.user)}),
                )?;
            }
            ["rotate", id] => match sessions.rotate(&id.parse()?).await? {
                Renewed::Issued(issued) => print(&json!({"id": issued.id.expose()}))?,
                other => return Err(format!("not rotated: {other:?}").into()),
            },
            ["log-ins", user, count] => {
                for _ in 0..count.parse()? {
                    let (sessions, is_over) = (sessions.clone(), Arc::clone(&is_over));
                    callers.spawn(log_ins(sessions, user.to_owned(), is_over));
                }
            }
            _ => return Err("expected create, load, rotate or log-ins".into()),
        }
    }
    is_over.store(true, Ordering::Relaxed);
    while let Some(lines) = callers.join_next().await {
        for line in lines?.map_err(|error| error.to_string())? {
            print(&line)?;
        }
    }
    Ok(())
}

async fn log_ins(
    sessions: Sessions<Value>,
    user: String,
    is_over: Arc<AtomicBool>,
) -> Result<Vec<Value>, Failure> {
    let mut lines = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let begun = since_boot_micros()?;
        let id = sessions.create(&user, &Value::Null).await?.id;
        let returned = since_boot_micros()?;
        // Time enough for it to be ended.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let looked = since_boot_micros()?;
        let session = sessions.load(&id).await?;
        let seen = since_boot_micros()?;
        lines.push(json!({
            "id": id.expose(),
            "begun": begun,
            "returned": returned,
            "looked": looked,
            "seen": seen,
            "valid": session.is_some(),
        }));
    }
    Ok(lines)
}
