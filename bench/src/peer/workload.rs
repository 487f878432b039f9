//! Which keys are asked for, and what stands in them.

use std::path::{Path, PathBuf};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Zipf};
use serde::{Deserialize, Serialize};

use crate::Outcome;

const KEYS: u16 = 1_000;
const DRAWS: usize = 65_536;
const COLD_SHARE: f64 = 0.1;
const SEED: u64 = 7;
const VALUE_BYTES: usize = 1_024;

/// The same for every peer, whatever its language.
#[derive(Serialize, Deserialize)]
pub(crate) struct Workload {
    /// How many warm keys there are.
    pub(crate) keys: u16,
    /// What a loader gives, but for the `id`, which is the key.
    pub(crate) document: Profile,
    /// Numbers of warm keys, some far more often than others; -1 for a key never asked for before.
    pub(crate) draws: Vec<i32>,
}

/// A cached value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) id: String,
    name: String,
    email: String,
    roles: Vec<String>,
    visits: u32,
    about: String,
}

impl Workload {
    pub(crate) fn new() -> Outcome<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let zipf = Zipf::new(f32::from(KEYS), 1.0)?;
        let draws = (0..DRAWS).map(|_| {
            if random.random_bool(COLD_SHARE) {
                -1
            } else {
                zipf.sample(&mut random) as i32 - 1
            }
        });
        Ok(Self {
            keys: KEYS,
            draws: draws.collect(),
            document: Profile::of_size(VALUE_BYTES)?,
        })
    }

    /// Writes the workload where the programs of peers can read it.
    pub(crate) fn write(&self) -> Outcome<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join("workload.json");
        std::fs::write(&path, serde_json::to_vec(self)?)?;
        Ok(path)
    }

    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }
}

impl Profile {
    /// The same document as the value of a key.
    pub(crate) fn of(&self, key: String) -> Self {
        Self {
            id: key,
            ..self.clone()
        }
    }

    fn of_size(bytes: usize) -> Outcome<Self> {
        let mut profile = Self {
            id: "user-0000".to_owned(),
            name: "Ada Lovelace".to_owned(),
            email: "ada@example.org".to_owned(),
            roles: vec!["engineer".to_owned(), "author".to_owned()],
            visits: 42,
            about: String::new(),
        };
        let rest = bytes - serde_json::to_vec(&profile)?.len();
        profile.about = "analytical engine ".chars().cycle().take(rest).collect();
        Ok(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::{DRAWS, VALUE_BYTES, Workload};

    #[test]
    fn a_tenth_of_the_calls_ask_for_a_key_that_is_new() {
        let workload = Workload::new().unwrap();
        let cold = workload.draws.iter().filter(|draw| **draw == -1).count();
        let share = cold as f64 / DRAWS as f64;
        assert!((0.095..0.105).contains(&share), "{share}");
        let keys = i32::from(workload.keys);
        assert!(workload.draws.iter().all(|draw| (-1..keys).contains(draw)));
    }

    #[test]
    fn a_value_has_its_size_as_json() {
        let workload = Workload::new().unwrap();
        let json = serde_json::to_vec(&workload.document).unwrap();
        assert_eq!(json.len(), VALUE_BYTES);
    }
}
