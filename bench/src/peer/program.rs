//! The program of a peer that is written in Rust.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::libraries::{self, GetOrLoad};
use super::workload::{Profile, Workload};
use crate::Outcome;
use crate::latency::Latencies;
use crate::measure::Measured;

/// The source of truth behind a cache; takes a while and counts.
#[derive(Clone)]
pub(super) struct Loader {
    document: Arc<Profile>,
    loads: Arc<AtomicU64>,
    takes: Duration,
}

impl Loader {
    pub(super) async fn load(self, key: String) -> Arc<Profile> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        Arc::new(self.document.of(key))
    }
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Request {
    Round {
        callers: usize,
        seconds: f64,
        load_ms: u64,
    },
    Stampede {
        callers: usize,
        key: String,
        load_ms: u64,
    },
}

/// Answers requests on the standard input as the named library, until it ends.
pub(crate) async fn serve(library: &str, url: &str, workload: &Path) -> Outcome<()> {
    let workload = Workload::read(workload)?;
    match library {
        "mainstay-near" => answer(libraries::Mainstay::near(url).await?, workload).await,
        "mainstay" => answer(libraries::Mainstay::open(url).await?, workload).await,
        "cached-near" => answer(libraries::Cached::near(url).await?, workload).await,
        "cached" => answer(libraries::Cached::open(url).await?, workload).await,
        "moka" => answer(libraries::Moka::open(), workload).await,
        "foyer" => answer(libraries::Foyer::open(), workload).await,
        "by-hand" => answer(libraries::ByHand::open(url).await?, workload).await,
        other => Err(format!("no library is called {other}").into()),
    }
}

async fn answer<L: GetOrLoad>(library: L, workload: Workload) -> Outcome<()> {
    let driver = Driver {
        library,
        document: Arc::new(workload.document),
        keys: (0..workload.keys)
            .map(|key| format!("user-{key}"))
            .collect(),
        draws: workload.draws,
        next_cold: AtomicUsize::new(0),
    };
    let driver = Arc::new(driver);
    println!("{}", json!({ "ready": true }));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match serde_json::from_str(&line)? {
            Request::Round {
                callers,
                seconds,
                load_ms,
            } => driver.round(callers, seconds, load_ms).await?,
            Request::Stampede {
                callers,
                key,
                load_ms,
            } => driver.stampede(callers, &key, load_ms).await?,
        };
        println!("{answer}");
    }
    Ok(())
}

struct Driver<L> {
    library: L,
    document: Arc<Profile>,
    keys: Vec<String>,
    draws: Vec<i32>,
    next_cold: AtomicUsize,
}

impl<L: GetOrLoad> Driver<L> {
    async fn round(self: &Arc<Self>, callers: usize, seconds: f64, load_ms: u64) -> Outcome<Value> {
        self.warm_up(callers, load_ms).await?;
        let loader = self.loader(load_ms);
        let start = Instant::now();
        let end = start + Duration::from_secs_f64(seconds);
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let (driver, loader) = (Arc::clone(self), loader.clone());
                tokio::spawn(async move {
                    let mut latencies = Latencies::new()?;
                    let first = caller * driver.draws.len() / callers;
                    for step in 0.. {
                        let begin = Instant::now();
                        driver.draw(first + step, &loader).await?;
                        let now = Instant::now();
                        latencies.record(now - begin);
                        if now >= end {
                            break;
                        }
                    }
                    Outcome::Ok(latencies)
                })
            })
            .collect();
        let mut all = Latencies::new()?;
        for task in tasks {
            all.add(&task.await??)?;
        }
        let measured = Measured::new(&all, start.elapsed());
        Ok(json!({
            "calls": all.count(), "loads": loader.loads.load(Ordering::Relaxed),
            "per_second": measured.per_second, "p50_us": measured.p50_us,
            "p99_us": measured.p99_us,
        }))
    }

    async fn stampede(self: &Arc<Self>, callers: usize, key: &str, load_ms: u64) -> Outcome<Value> {
        let loader = self.loader(load_ms);
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (driver, loader, key) = (Arc::clone(self), loader.clone(), key.to_owned());
                tokio::spawn(async move {
                    let begin = Instant::now();
                    driver.ask(&key, &loader).await?;
                    Outcome::Ok(begin.elapsed())
                })
            })
            .collect();
        let mut latencies_us = Vec::with_capacity(callers);
        for task in tasks {
            latencies_us.push(task.await??.as_micros() as u64);
        }
        let loads = loader.loads.load(Ordering::Relaxed);
        Ok(json!({ "loads": loads, "latencies_us": latencies_us }))
    }

    /// Asks once for every warm key, by as many callers.
    async fn warm_up(self: &Arc<Self>, callers: usize, load_ms: u64) -> Outcome<()> {
        let loader = self.loader(load_ms);
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let (driver, loader) = (Arc::clone(self), loader.clone());
                tokio::spawn(async move {
                    for key in driver.keys.iter().skip(caller).step_by(callers) {
                        driver.ask(key, &loader).await?;
                    }
                    Outcome::Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(())
    }

    fn loader(&self, load_ms: u64) -> Loader {
        Loader {
            document: Arc::clone(&self.document),
            loads: Arc::default(),
            takes: Duration::from_millis(load_ms),
        }
    }

    async fn draw(&self, step: usize, loader: &Loader) -> Outcome<()> {
        match usize::try_from(self.draws[step % self.draws.len()]) {
            Ok(warm) => self.ask(&self.keys[warm], loader).await,
            Err(_negative) => {
                let number = self.next_cold.fetch_add(1, Ordering::Relaxed);
                self.ask(&format!("cold-{number}"), loader).await
            }
        }
    }

    async fn ask(&self, key: &str, loader: &Loader) -> Outcome<()> {
        let profile = self.library.get_or_load(key, loader.clone()).await?;
        if profile.id == key {
            Ok(())
        } else {
            Err(format!("{key} holds the value of {}", profile.id).into())
        }
    }
}
