//! Runs the checker and says what it found.

use std::collections::BTreeSet;
use std::fmt;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use super::protocol::{Protocol, Step};
use super::{Flaw, Guarantee, Scope};

/// What an exhaustive check found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Verdict {
    /// Different states that were reached.
    pub states: usize,
    /// Guarantees that do not hold in all of them.
    pub broken: Vec<Counterexample>,
    /// What should have happened in one of them and did in none.
    pub unseen: Vec<&'static str>,
}

/// A way to a state in which a guarantee does not hold.
#[derive(Debug, Clone)]
pub struct Counterexample {
    guarantee: Guarantee,
    steps: Vec<Step>,
    states: usize,
}

/// Walks through every state of the protocol as it is meant.
pub fn check(scope: Scope) -> Verdict {
    let checker = Protocol {
        scope,
        flaw: Flaw::None,
    }
    .checker()
    .spawn_bfs()
    .join();
    let states = checker.unique_state_count();
    let discoveries = checker.discoveries();
    let mut unseen = Vec::new();
    for property in checker.model().properties() {
        if property.expectation == Expectation::Sometimes
            && !discoveries.contains_key(property.name)
        {
            unseen.push(property.name);
        }
    }
    let broken = Guarantee::ALL
        .into_iter()
        .filter_map(|guarantee| {
            let path = discoveries.get(guarantee.name())?;
            Some(Counterexample {
                guarantee,
                steps: path.clone().into_actions(),
                states,
            })
        })
        .collect();
    Verdict {
        states,
        broken,
        unseen,
    }
}

/// Looks for a way in which a flaw breaks a guarantee.
pub fn refute(scope: Scope, flaw: Flaw, guarantee: Guarantee) -> Option<Counterexample> {
    let wanted = HasDiscoveries::AllOf(BTreeSet::from([guarantee.name()]));
    let checker = Protocol { scope, flaw }
        .checker()
        .finish_when(wanted)
        .spawn_bfs()
        .join();
    let path = checker.discovery(guarantee.name())?;
    Some(Counterexample {
        guarantee,
        steps: path.into_actions(),
        states: checker.unique_state_count(),
    })
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} after {} steps, {} states:",
            self.guarantee.name(),
            self.steps.len(),
            self.states
        )?;
        self.steps
            .iter()
            .try_for_each(|step| write!(f, "\n  {step:?}"))
    }
}
