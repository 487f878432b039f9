//! `mainstay limit`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use mainstay::Key;
use mainstay::ratelimit::{Decision, Limiter, Policy, Quota, RetryAfter};
use serde_json::{Value, json};

use crate::arguments::Global;
use crate::failure::Failure;
use crate::output;
use crate::quantity::{for_people, millis};

const EXAMPLES: &str = "\
Examples:
  mainstay limit check api ip:10.0.0.7 --limit 100/1m
  mainstay limit check mail user-42 --limit 10/1h --cost 3 && ./send-three-mails.sh
  mainstay limit check api ip:10.0.0.7 --limit 20/1s:gcra,burst=5 --and daily=5000/day:fixed
  mainstay limit peek api ip:10.0.0.7 --limit 100/1m
  mainstay limit reset api ip:10.0.0.7

The count is shared with every program that uses the same policy name and subject on the same
backend, and should say the same limit.";

const POLICY: &str = "\
A limit is COUNT/PERIOD, or with an algorithm:
  100/1m                           in any minute, times rounded up to a second (window)
  5/1m:exact                       in any minute, each call kept; up to 1000
  100/1s:gcra,burst=20             a bucket of 20, refilled evenly
  500/day:fixed,zone=Europe/Paris  from midnight to midnight there; second to year";

/// Asks a rate limit, looks at it, or begins it anew
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Limit {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Counts one request if it fits; exit code 1 if it does not
    Check(Check),
    /// Tells what is left and counts nothing; exit code 1 if the request would not fit
    Peek(Check),
    /// Forgets what was counted for a subject; exit code 1 if nothing was
    Reset(Reset),
}

#[derive(Args)]
#[command(after_help = POLICY)]
struct Check {
    /// The policy's name: letters, digits and . _ - /
    policy: String,
    /// Who or what is limited: an address, a user
    subject: String,
    /// How many in what time
    #[arg(long, value_name = "COUNT/PERIOD")]
    limit: String,
    /// Another policy that must admit it, too, in the same step (repeatable)
    #[arg(long, value_name = "NAME=COUNT/PERIOD")]
    and: Vec<Policy>,
    /// How many this request counts for
    #[arg(long, default_value_t = 1)]
    cost: u64,
}

#[derive(Args)]
struct Reset {
    /// The policy's name
    policy: String,
    /// Who or what is limited
    subject: String,
}

impl Limit {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let is_allowed = match self.action {
            Action::Check(check) => {
                let (limiter, subject) = check.limiter(global).await?;
                let decision = limiter.check_cost(subject, check.cost).await?;
                tell(global, &decision)?
            }
            Action::Peek(check) => {
                let (limiter, subject) = check.limiter(global).await?;
                let decision = limiter.call(subject).cost(check.cost).peek().await?;
                tell(global, &decision)?
            }
            Action::Reset(reset) => {
                // Only the name matters for the key.
                let policy = format!("{}=1/1s", reset.policy).parse()?;
                let subject = Key::new(&reset.subject)?;
                let was_reset = global
                    .connect()
                    .await?
                    .limiter(policy)
                    .reset(subject)
                    .await?;
                let text = if was_reset {
                    format!("{} of {} begins anew", reset.policy, reset.subject)
                } else {
                    format!(
                        "nothing was counted for {} of {}",
                        reset.policy, reset.subject
                    )
                };
                output::answer(global.json, &json!({ "reset": was_reset }), text)?;
                was_reset
            }
        };
        Ok(ExitCode::from(u8::from(!is_allowed)))
    }
}

impl Check {
    async fn limiter(&self, global: &Global) -> Result<(Limiter, Key), Failure> {
        let policy = format!("{}={}", self.policy, self.limit).parse()?;
        let subject = Key::new(&self.subject)?;
        let mut limiter = global.connect().await?.limiter(policy);
        for policy in &self.and {
            limiter = limiter.and(policy.clone())?;
        }
        Ok((limiter, subject))
    }
}

/// Whether it was allowed.
fn tell(global: &Global, decision: &Decision) -> Result<bool, Failure> {
    let (value, text) = describe(decision);
    output::answer(global.json, &value, text)?;
    Ok(decision.is_allowed())
}

fn describe(decision: &Decision) -> (Value, String) {
    let mut value = described(decision.tightest());
    value["allowed"] = decision.is_allowed().into();
    let verdict = if decision.is_allowed() {
        "allowed"
    } else {
        "denied"
    };
    let quotas = decision.quotas();
    if let [quota] = quotas {
        return (value, format!("{verdict}: {}", said(quota)));
    }
    value["quotas"] = quotas
        .iter()
        .map(|quota| {
            let mut each = described(quota);
            each["policy"] = quota.policy.as_str().into();
            each
        })
        .collect();
    let lines = quotas
        .iter()
        .map(|quota| format!("\n  {}: {}", quota.policy, said(quota)));
    (value, format!("{verdict}{}", lines.collect::<String>()))
}

fn described(quota: &Quota) -> Value {
    let mut value = json!({
        "allowed": quota.retry_after.is_none(),
        "limit": quota.limit,
        "remaining": quota.remaining,
        "reset_after_ms": millis(quota.reset_after),
    });
    match quota.retry_after {
        Some(RetryAfter::After(wait)) => value["retry_after_ms"] = millis(wait).into(),
        Some(RetryAfter::Never) => value["retry_after_ms"] = Value::Null,
        None => {}
    }
    value
}

fn said(quota: &Quota) -> String {
    let (limit, remaining) = (quota.limit, quota.remaining);
    let then = match quota.retry_after {
        None => format!("reset in {}", for_people(quota.reset_after)),
        Some(RetryAfter::After(wait)) => format!("retry after {}", for_people(wait)),
        Some(RetryAfter::Never) => "the cost is above the limit".to_owned(),
    };
    format!("{remaining} of {limit} remaining, {then}")
}
