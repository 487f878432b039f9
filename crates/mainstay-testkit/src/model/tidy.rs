//! Makes states equal that differ only in what no step will look at again.

use super::protocol::Protocol;
use super::state::{Answer, LAPSED, Message, Node, State, TagTaken, Value, Version};
use super::{Flaw, Scope};

impl Protocol {
    /// Forgets what can make no difference any more under the flaw of this model.
    ///
    /// Each rule here is a claim about the steps; the flaws that look at what others may not are
    /// left out of it.
    pub(super) fn tidy(&self, state: &mut State) {
        for node in [&mut state.a, &mut state.b] {
            self.tidy_node(node);
        }
        let served = state.redis.served(self.scope.tags);
        let copies = [&state.a, &state.b].map(copies);
        let is_held = |version: Version| copies.iter().any(|seen| seen.contains(&version));
        state
            .witness
            .forget(|version| served != Some(version) && !is_held(version));
    }

    fn tidy_node(&self, node: &mut Node) {
        for slot in [&mut node.slots.entry, &mut node.slots.tag] {
            slot.take_if(|slot| self.is_over(slot.former));
        }
        node.confirmed.take_if(|age| *age > Scope::STALENESS);
        let mut answers = node
            .link
            .stream
            .iter_mut()
            .filter_map(|message| match message {
                Message::Answer(answer) => Some(answer),
                _ => None,
            });
        for flight in &mut node.flights {
            let reply = if flight.is_waiting() {
                match answers.next() {
                    Some(Answer::Found(value)) => Some(value),
                    _ => None,
                }
            } else {
                flight.reply.as_mut()
            };
            let dropped = flight.poisoned && self.flaw != Flaw::IgnorePoison;
            if (dropped || self.is_over(flight.former))
                && let Some(value) = reply
            {
                *value = Value::default();
            }
        }
        for load in &mut node.loads {
            if load.token == LAPSED && self.flaw != Flaw::SkipLeaseCheck {
                // It may create a tag before it is refused, but what it loaded is lost.
                load.version = 0;
                if let TagTaken::Yes(generation) = &mut load.tag {
                    *generation = 0;
                }
            }
        }
        node.loads.sort_unstable();
    }
}

fn copies(node: &Node) -> Vec<Version> {
    let slots = node.slots.entry.iter().map(|slot| slot.value.version);
    let replies = node
        .flights
        .iter()
        .filter_map(|flight| Some(flight.reply?.version));
    let answers = node.link.stream.iter().filter_map(|message| match message {
        Message::Answer(Answer::Found(value)) => Some(value.version),
        _ => None,
    });
    slots.chain(replies).chain(answers).collect()
}
