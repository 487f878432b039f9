//! The scripts on a server, by a time that they are told.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use mainstay_testkit::fixture::Server;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, Value};

use super::steps::Step;
use super::{ATTEMPTS, Answer, CONSUMER, DEDUPE_MS, Dead, Given, LETTER_AGE_MS, LETTERS, MAX_LEN};

/// Of a batch, on a machine that has other work.
const ANSWERED: Duration = Duration::from_secs(60);
const BESIDE: [&str; 11] = [
    "ready", "jobs", "state", "lease", "delay", "ids", "heads", "lines", "dead", "letters", "idle",
];
const SCRIPTS: [&str; 8] = [
    "dead", "purge", "push", "renew", "replay", "seen", "settle", "take",
];
const CHANNEL: &str = "{queue:jobs}:w";

pub(super) struct Scripts {
    connection: MultiplexedConnection,
    digests: HashMap<&'static str, String>,
    next_token: u64,
}

impl Scripts {
    pub(super) async fn load(server: &Server) -> Self {
        let client = redis::Client::open(server.url()).unwrap();
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWERED));
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connection.await.unwrap();
        let state = source("queue_state");
        let time = "local time = redis.call('TIME')\nlocal micros = time[1] * 1000000 + time[2]\n";
        assert_eq!(state.matches(time).count(), 1);
        let state = state.replace(time, "local micros = tonumber(table.remove(ARGV))\n");
        let mut digests = HashMap::new();
        for name in SCRIPTS {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD")
                .arg(state.clone() + &source(&format!("queue_{name}")));
            let digest: String = load.query_async(&mut connection).await.unwrap();
            digests.insert(name, digest);
        }
        Self {
            connection,
            digests,
            next_token: 0,
        }
    }

    pub(super) async fn ask(&mut self, steps: &[(u64, Step, Answer)]) -> Vec<Answer> {
        let mut pipeline = redis::pipe();
        for (now, step, _) in steps {
            let (name, words) = words(step);
            let mut keys = vec!["queue:jobs".to_owned()];
            keys.extend(
                BESIDE
                    .iter()
                    .map(|suffix| format!("{{queue:jobs}}:{suffix}")),
            );
            if name == "settle" {
                self.next_token += 1;
                keys.push(format!("{{queue:jobs}}:a:{}", self.next_token));
            }
            let call = pipeline.cmd("EVALSHA").arg(&self.digests[name]);
            call.arg(keys.len()).arg(keys).arg(words).arg(*now);
        }
        let values: Vec<Value> = pipeline.query_async(&mut self.connection).await.unwrap();
        let steps = steps.iter().zip(values);
        steps
            .map(|((_, step, _), value)| answer(step, value))
            .collect()
    }
}

fn source(name: &str) -> String {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mainstay/src/backend/redis/lua");
    fs::read_to_string(scripts.join(format!("{name}.lua"))).unwrap()
}

/// The script, and what it is told.
fn words(step: &Step) -> (&'static str, Vec<Vec<u8>>) {
    let texts = |texts: Vec<String>| texts.into_iter().map(String::into_bytes).collect();
    match step {
        Step::Push {
            id,
            key,
            delay_ms,
            data,
        } => {
            let mut words = vec![MAX_LEN.to_string(), CHANNEL.to_owned(), id.clone()];
            words.extend([
                DEDUPE_MS.to_string(),
                delay_ms.to_string(),
                key.replace(':', "%3A"),
            ]);
            words.push(format!("\0{data}"));
            ("push", texts(words))
        }
        Step::Take { most, lease_ms } => {
            let mut words = vec![CONSUMER.to_owned(), most.to_string(), lease_ms.to_string()];
            words.extend([ATTEMPTS.to_string(), "0".to_owned(), CHANNEL.to_owned()]);
            words.extend([LETTERS.to_string(), LETTER_AGE_MS.to_string()]);
            ("take", texts(words))
        }
        Step::Renew { held, lease_ms } => {
            let mut words = vec![lease_ms.to_string()];
            words.extend(
                held.iter()
                    .flat_map(|(id, fence)| [id.clone(), fence.to_string()]),
            );
            ("renew", texts(words))
        }
        Step::Settle { ends } => {
            let mut words = vec![ATTEMPTS.to_string(), LETTERS.to_string()];
            words.extend([LETTER_AGE_MS.to_string(), CHANNEL.to_owned()]);
            for end in ends {
                let after = if end.verb == "retry" { end.after_ms } else { 0 };
                words.extend([end.id.clone(), end.fence.to_string(), end.verb.to_owned()]);
                words.extend([after.to_string(), format!("for {}", end.after_ms)]);
            }
            ("settle", texts(words))
        }
        Step::Dead { skip, most } => ("dead", texts(vec![skip.to_string(), most.to_string()])),
        Step::Replay { ids } => {
            let mut words = vec![CHANNEL.to_owned()];
            words.extend(ids.clone());
            ("replay", texts(words))
        }
        Step::Purge { ids } => ("purge", texts(ids.clone())),
        Step::Stats => ("seen", Vec::new()),
    }
}

fn read<T: FromRedisValue>(value: Value) -> T {
    redis::from_redis_value(value).unwrap()
}

/// A content without its trace, of which there is none.
fn payload(content: &[u8]) -> Vec<u8> {
    assert_eq!(content.first(), Some(&0));
    content[1..].to_vec()
}

fn answer(step: &Step, value: Value) -> Answer {
    match step {
        Step::Push { .. } | Step::Renew { .. } | Step::Settle { .. } => Answer::Digits(read(value)),
        Step::Take { .. } => {
            type Job = (String, String, u32, String, String, Vec<u8>);
            let (_next, _died, jobs): (i64, u64, Vec<Job>) = read(value);
            let given = jobs
                .into_iter()
                .map(|(id, fence, attempt, pushed, key, content)| Given {
                    id,
                    fence: fence.parse().unwrap(),
                    attempt,
                    pushed_ms: pushed.parse().unwrap(),
                    key,
                    payload: payload(&content),
                });
            Answer::Given(given.collect())
        }
        Step::Dead { .. } => {
            type Letter = (String, u32, String, String, String, String, String, Vec<u8>);
            let letters: Vec<Letter> = read(value);
            let letters = letters.into_iter().map(
                |(id, attempts, pushed, died, consumer, key, reason, content)| Dead {
                    id,
                    attempts,
                    times_ms: (pushed.parse().unwrap(), died.parse().unwrap()),
                    consumer,
                    key,
                    reason,
                    payload: payload(&content),
                },
            );
            Answer::Dead(letters.collect())
        }
        Step::Replay { .. } | Step::Purge { .. } => Answer::Counts(vec![read(value)]),
        Step::Stats => Answer::Counts(read(value)),
    }
}
