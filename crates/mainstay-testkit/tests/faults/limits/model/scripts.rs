//! The scripts on a server, by a time that they are told.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mainstay_testkit::fixture::Server;
use mainstay_testkit::oracle::limit::{LimitRule, Said};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

use super::Reply;
use super::steps::{Kind, Step};

/// Of a batch, on a machine that has other work.
const ANSWERED: Duration = Duration::from_secs(60);

const KEY: &str = "rl:{somebody}:p";

/// The server's time is the last argument; a state is gone at exactly its time.
const TIME: &str = "local now = tonumber(ARGV[#ARGV])
for _, key in ipairs(KEYS) do
  local ends = tonumber(redis.call('GET', key .. ':ends') or now + 1)
  if ends <= now then
    redis.call('DEL', key, key .. ':ends')
  end
end
";
const KEEP: &str = "    redis.call('SET', key, state)
    redis.call('SET', key .. ':ends', string.format('%.0f', now + micros))
";

pub(super) struct Scripts {
    connection: MultiplexedConnection,
    take: String,
    refund: String,
    rule: Option<LimitRule>,
}

impl Scripts {
    pub(super) async fn load(server: &Server, kind: Kind) -> Self {
        let client = redis::Client::open(server.url()).unwrap();
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWERED));
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let connection = connection.await.unwrap();
        let algorithm = match kind {
            Kind::Window => "limit_window",
            Kind::Exact => "limit_exact",
            Kind::Gcra => "limit_gcra",
            Kind::Fixed => "limit_fixed",
            Kind::Concurrent => "limit_concurrent",
        };
        let clock = replaced(
            &source("limit_clock"),
            "local time = redis.call('TIME')\nlocal now = time[1] * 1000000 + time[2]\n",
            TIME,
        );
        let clock = replaced(
            &clock,
            "    redis.call('SET', key, state, 'PX', string.format('%.0f', math.ceil(micros / 1000)))\n",
            KEEP,
        );
        let before = clock + &source(algorithm);
        let mut scripts = Self {
            connection,
            take: String::new(),
            refund: String::new(),
            rule: None,
        };
        scripts.take = scripts.digest(before.clone() + &source("limit_take")).await;
        scripts.refund = scripts.digest(before + &source("limit_refund")).await;
        scripts
    }

    async fn digest(&mut self, source: String) -> String {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(source);
        load.query_async(&mut self.connection).await.unwrap()
    }

    pub(super) async fn ask(
        &mut self,
        steps: impl Iterator<Item = &Step>,
        first: LimitRule,
    ) -> Vec<Reply> {
        let mut pipeline = redis::pipe();
        let steps: Vec<_> = steps.collect();
        let mut rule = self.rule.unwrap_or(first);
        for step in &steps {
            match **step {
                Step::Change { rule: changed } => rule = changed,
                Step::Reset => {
                    pipeline.cmd("DEL").arg(KEY).arg(format!("{KEY}:ends"));
                }
                Step::Call {
                    now,
                    cost,
                    charges,
                    id,
                } => {
                    let call = pipeline.cmd("EVALSHA").arg(&self.take).arg(1).arg(KEY);
                    call.arg(u8::from(charges));
                    call.arg(words(rule, now, cost, id)).arg(now);
                }
                Step::Refund { now, at, cost, id } => {
                    let call = pipeline.cmd("EVALSHA").arg(&self.refund).arg(1).arg(KEY);
                    call.arg(at).arg(words(rule, now, cost, id)).arg(now);
                }
            }
        }
        self.rule = Some(rule);
        let values: Vec<redis::Value> = pipeline.query_async(&mut self.connection).await.unwrap();
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap();
        let answers = steps.iter().map(|step| match step {
            Step::Change { .. } => Reply::Nothing,
            Step::Reset => {
                next();
                Reply::Nothing
            }
            Step::Call { .. } => Reply::Said(said(next())),
            Step::Refund { .. } => Reply::Refunded(next() == redis::Value::Int(1)),
        });
        answers.collect()
    }
}

/// What a script is told of a rule, as `docs/keys.md` says.
fn words(rule: LimitRule, now: u64, cost: u64, id: u32) -> Vec<String> {
    let (algorithm, own) = match rule {
        LimitRule::Window { period, .. } => ("window", [period.div_ceil(60), 0, 0]),
        LimitRule::Exact { period, .. } => ("exact", [period, 0, 0]),
        LimitRule::Concurrent { lease, .. } => ("concurrent", [lease, 0, u64::from(id)]),
        LimitRule::Fixed { period, .. } => {
            let start = now / period * period / 1_000_000;
            let seconds = period / 1_000_000;
            ("fixed", [start, start + seconds, start + 2 * seconds])
        }
        LimitRule::Gcra {
            limit,
            period,
            burst,
        } => {
            let nanos = (period * 1_000).div_ceil(limit);
            if u128::from(nanos) * u128::from(burst) <= 1 << 52 {
                ("gcra", [nanos, 1_000, 0])
            } else {
                ("gcra", [period.div_ceil(limit), 1, 0])
            }
        }
    };
    let [a, b, c] = own.map(|number| number.to_string());
    let limit = rule.limit().to_string();
    vec![algorithm.to_owned(), limit, a, b, c, cost.to_string()]
}

fn said(reply: redis::Value) -> Said {
    let numbers: Vec<i64> = redis::from_redis_value(reply).unwrap();
    let [_, admitted, remaining, retry, reset] = numbers[..] else {
        panic!("five numbers are expected: {numbers:?}");
    };
    let count = |number: i64| u64::try_from(number).unwrap();
    Said {
        admitted: admitted == 1,
        remaining: count(remaining),
        retry: (retry > 0).then(|| count(retry)),
        reset: count(reset),
    }
}

fn source(name: &str) -> String {
    let lua = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mainstay/src/backend/redis/lua");
    fs::read_to_string(lua.join(name).with_extension("lua")).unwrap()
}

fn replaced(source: &str, from: &str, to: &str) -> String {
    assert_eq!(source.matches(from).count(), 1, "not once: {from}");
    source.replace(from, to)
}
