//! What a test run showed: totals, and the behaviours that ran on each backend.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::process::{Failure, Outcome};

/// Backends that behaviours are stamped for, and whether a run without them is a failure.
const BACKENDS: [(&str, bool); 4] = [
    ("memory", true),
    ("redis", true),
    ("valkey", true),
    ("cluster", false),
];

/// Sums of the `test result:` lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Totals {
    pub(crate) fn of<'a>(lines: impl IntoIterator<Item = &'a String>) -> Self {
        let mut totals = Self::default();
        for line in lines {
            let Some(counts) = line.strip_prefix("test result: ") else {
                continue;
            };
            totals.passed += number_before(counts, " passed");
            totals.failed += number_before(counts, " failed");
            totals.ignored += number_before(counts, " ignored");
        }
        totals
    }

    pub(crate) fn run(&self) -> u64 {
        self.passed + self.failed
    }

    /// An ignored test, or an example marked so, is one that nobody runs.
    pub(crate) fn none_ignored(&self) -> Outcome {
        match self.ignored {
            0 => Ok(()),
            count => Err(Failure::new(format!("ignored tests or examples: {count}"))),
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        match self.ignored {
            0 => Ok(()),
            count => write!(f, ", {count} ignored"),
        }
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    text.split_once(word)
        .and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0)
}

/// A behaviour that a backend cannot show, for want of a capability.
#[derive(Debug)]
struct Skip {
    backend: String,
    behaviour: String,
    capability: String,
}

impl Skip {
    /// Reads `skipped: <backend> <behaviour>: <capability>`.
    fn parse(line: &str) -> Option<Self> {
        let (backend, rest) = line.strip_prefix("skipped: ")?.split_once(' ')?;
        let (behaviour, capability) = rest.split_once(": ")?;
        BACKENDS.iter().find(|(known, _)| *known == backend)?;
        Some(Self {
            backend: backend.to_owned(),
            behaviour: behaviour.to_owned(),
            capability: capability.to_owned(),
        })
    }

    /// A skip names its behaviour with the area, `lock::fence_rises`, or without.
    fn is_of(&self, backend: &str, behaviour: &str) -> bool {
        let name = behaviour.strip_suffix(self.behaviour.as_str());
        self.backend == backend && name.is_some_and(|area| area.is_empty() || area.ends_with("::"))
    }
}

/// The behaviours of a run: tests named `suite::<backend>::<area>::<behaviour>`.
#[derive(Debug)]
pub(crate) struct Report {
    /// For each backend, `area::behaviour` and whether its test passed.
    stamped: BTreeMap<&'static str, BTreeMap<String, bool>>,
    skips: Vec<Skip>,
}

impl Report {
    /// Reads the output of the test run and the text of the file of skips.
    pub(crate) fn new(output: &[String], skipped: &str) -> Outcome<Self> {
        let mut stamped = BTreeMap::new();
        for (name, _) in BACKENDS {
            stamped.insert(name, BTreeMap::new());
        }
        for line in output {
            if let Some((backend, behaviour, passed)) = behaviour_in(line)
                && let Some(behaviours) = stamped.get_mut(backend)
            {
                behaviours.insert(behaviour.to_owned(), passed);
            }
        }
        let mut lines: Vec<&str> = skipped.lines().filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        lines.dedup();
        let skips = lines
            .into_iter()
            .map(|line| Skip::parse(line).ok_or(line))
            .collect::<Result<_, _>>()
            .map_err(|line| Failure::new(format!("not a note about a skip: {line}")))?;
        Ok(Self { stamped, skips })
    }

    /// Fails if a backend ran nothing, or lacks a behaviour without a word.
    pub(crate) fn check(&self) -> Outcome {
        let mut faults = Vec::new();
        let mut all = BTreeSet::new();
        for (backend, required) in BACKENDS {
            all.extend(self.stamped[backend].keys());
            if required && self.ran(backend).count() == 0 {
                faults.push(format!("{backend} ran no behaviour"));
            }
        }
        for (backend, required) in BACKENDS {
            let stamped = &self.stamped[backend];
            if stamped.is_empty() && !required {
                continue;
            }
            let silent = all
                .iter()
                .filter(|name| !stamped.contains_key(**name))
                .filter(|name| self.skip_of(backend, name).is_none());
            faults.extend(silent.map(|name| format!("{backend} neither runs nor skips {name}")));
        }
        if faults.is_empty() {
            return Ok(());
        }
        let list = faults.join("\n  ");
        Err(Failure::new(format!(
            "backends differ in behaviours:\n  {list}"
        )))
    }

    /// Behaviours that passed on this backend by being carried out.
    fn ran(&self, backend: &str) -> impl Iterator<Item = &str> {
        self.stamped[backend]
            .iter()
            .filter(|(name, passed)| **passed && self.skip_of(backend, name).is_none())
            .map(|(name, _)| name.as_str())
    }

    fn skip_of(&self, backend: &str, behaviour: &str) -> Option<&Skip> {
        self.skips
            .iter()
            .find(|skip| skip.is_of(backend, behaviour))
    }

    fn ran_in(&self, backend: &str, area: &str) -> usize {
        self.ran(backend)
            .filter(|name| area_of(name) == area)
            .count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.stamped.values().flat_map(BTreeMap::keys);
        let areas: BTreeSet<&str> = names.map(|name| area_of(name)).collect();
        write!(f, "{:<12}", "area")?;
        for (backend, _) in BACKENDS {
            write!(f, "{backend:>10}")?;
        }
        writeln!(f)?;
        for area in areas {
            write!(f, "{area:<12}")?;
            for (backend, _) in BACKENDS {
                write!(f, "{:>10}", self.ran_in(backend, area))?;
            }
            writeln!(f)?;
        }
        for skip in &self.skips {
            let Skip {
                backend,
                behaviour,
                capability,
            } = skip;
            writeln!(f, "skipped: {backend} {behaviour}: {capability}")?;
        }
        let counts =
            BACKENDS.map(|(backend, _)| format!("{backend} {}", self.ran(backend).count()));
        write!(f, "behaviours: {}", counts.join(", "))
    }
}

fn area_of(behaviour: &str) -> &str {
    behaviour
        .split_once("::")
        .map_or(behaviour, |(area, _)| area)
}

/// Backend, `area::behaviour` and whether it passed, from `test suite::.. ... ok`.
fn behaviour_in(line: &str) -> Option<(&str, &str, bool)> {
    let (name, result) = line.strip_prefix("test suite::")?.split_once(" ... ")?;
    let (backend, behaviour) = name.split_once("::")?;
    let passed = result == "ok" || result.starts_with("ok ");
    Some((backend, behaviour, passed))
}

#[cfg(test)]
mod tests {
    use super::{Report, Totals};

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn report(output: &str, skipped: &str) -> Report {
        Report::new(&lines(output), skipped).unwrap()
    }

    const EVEN: &str = "\
test suite::memory::lock::fence_rises ... ok
test suite::memory::cache::entry_expires ... ok
test suite::redis::lock::fence_rises ... ok
test suite::redis::cache::entry_expires ... ok
test suite::valkey::lock::fence_rises ... ok
test suite::valkey::cache::entry_expires ... ok
test key::tests::a_key_is_escaped ... ok
";

    #[test]
    fn totals_add_up_over_test_binaries() {
        let output = lines(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out\n\
             test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        );
        let totals = Totals::of(&output);
        assert_eq!(totals.to_string(), "16 passed, 2 failed, 1 ignored");
        assert_eq!(totals.run(), 18);
        assert_eq!(
            totals.none_ignored().unwrap_err().to_string(),
            "ignored tests or examples: 1"
        );
        Totals::default().none_ignored().unwrap();
    }

    #[test]
    fn behaviours_are_counted_by_area_and_backend() {
        let report = report(EVEN, "");
        report.check().unwrap();
        let text = report.to_string();
        assert_eq!(
            lines(&text),
            [
                "area            memory     redis    valkey   cluster",
                "cache                1         1         1         0",
                "lock                 1         1         1         0",
                "behaviours: memory 2, redis 2, valkey 2, cluster 0",
            ]
        );
    }

    #[test]
    fn a_skipped_behaviour_does_not_count_as_run() {
        let report = report(EVEN, "skipped: memory fence_rises: durability\n");
        report.check().unwrap();
        assert!(report.to_string().ends_with(
            "skipped: memory fence_rises: durability\n\
             behaviours: memory 1, redis 2, valkey 2, cluster 0"
        ));
    }

    #[test]
    fn a_backend_that_stays_silent_about_a_behaviour_fails_the_run() {
        let output = EVEN.replace("test suite::redis::lock::fence_rises ... ok\n", "");
        let failure = report(&output, "").check().unwrap_err();
        assert_eq!(
            failure.to_string(),
            "backends differ in behaviours:\n  redis neither runs nor skips lock::fence_rises"
        );
        report(&output, "skipped: redis lock::fence_rises: streams\n")
            .check()
            .unwrap();
    }

    #[test]
    fn a_cluster_is_held_to_the_others_once_it_runs_anything() {
        let output = format!("{EVEN}test suite::cluster::lock::fence_rises ... ok\n");
        let failure = report(&output, "").check().unwrap_err();
        assert_eq!(
            failure.to_string(),
            "backends differ in behaviours:\n  cluster neither runs nor skips cache::entry_expires"
        );
    }

    #[test]
    fn a_backend_whose_behaviours_all_fail_ran_none() {
        let output = EVEN
            .replace(
                "valkey::lock::fence_rises ... ok",
                "valkey::lock::fence_rises ... FAILED",
            )
            .replace(
                "valkey::cache::entry_expires ... ok",
                "valkey::cache::entry_expires ... FAILED",
            );
        let failure = report(&output, "").check().unwrap_err();
        assert_eq!(
            failure.to_string(),
            "backends differ in behaviours:\n  valkey ran no behaviour"
        );
    }

    #[test]
    fn a_note_that_cannot_be_read_is_a_failure() {
        let failure = Report::new(&[], "memory cannot\n").unwrap_err();
        assert_eq!(
            failure.to_string(),
            "not a note about a skip: memory cannot"
        );
    }
}
