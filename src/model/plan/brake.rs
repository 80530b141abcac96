//! What keeps a pass from sending release after release to a cluster that is ill.

use std::collections::BTreeMap;

use super::{AppRecord, Step};
use crate::model::report::Outcome;

/// Stops a pass whose first deploys fail one after the other: that points at the cluster, not at the
/// releases. Once one of them has succeeded it does not stop the pass any more.
///
/// The failures count for the back-off. For `--max-attempts` one of each version does not: the cluster
/// may be well again before the releases are given up.
#[derive(Debug)]
pub struct Brake {
    max_failures: usize,
    has_succeeded: bool,
    failed: BTreeMap<String, String>,
}

impl Brake {
    /// Of a pass that begins, with `--max-failures`; 0 never stops one.
    pub const fn new(max_failures: usize) -> Self {
        Self {
            max_failures,
            has_succeeded: false,
            failed: BTreeMap::new(),
        }
    }

    /// Notes how a deploy ended. What was seen to run already was not sent, and says nothing.
    pub fn ended(&mut self, app: &str, version: &str, outcome: Outcome) {
        match outcome {
            Outcome::Succeeded => self.has_succeeded = true,
            Outcome::Failed | Outcome::Refused => {
                self.failed.insert(app.to_owned(), version.to_owned());
            }
            Outcome::Observed | Outcome::Unknown | Outcome::Submitted | Outcome::Error => {}
        }
    }

    /// The versions that have failed, by app, where nothing more may be sent.
    pub fn stops(&self) -> Option<&BTreeMap<String, String>> {
        let is_reached = self.max_failures != 0 && self.failed.len() >= self.max_failures;
        (is_reached && !self.has_succeeded).then_some(&self.failed)
    }
}

/// The deploys of a plan in the order in which they are carried out: what has not failed yet first,
/// then what has failed longest ago. So those that fail keep no others from being tried, however
/// often the brake stops a pass.
pub fn in_turn<'a>(steps: &'a [Step], records: &BTreeMap<String, AppRecord>) -> Vec<&'a Step> {
    let failed_at = |step: &Step| {
        let trouble = &records.get(&step.app)?.troubled;
        Some(trouble.get(step.newest.as_ref()?)?.ended_at)
    };
    let mut due: Vec<&Step> = steps.iter().filter(|step| step.is_deploy()).collect();
    due.sort_by_key(|step| failed_at(step));
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attempt::State;
    use crate::model::plan::Trouble;
    use crate::model::report::Action;

    #[test]
    fn only_failures_before_the_first_success_stop_a_pass() {
        use Outcome::{Failed, Observed, Refused, Succeeded};
        for (max_failures, outcomes, stops) in [
            (3, &[Failed, Failed][..], false),
            (3, &[Failed, Failed, Failed], true),
            (3, &[Failed, Refused, Failed], true),
            (3, &[Failed, Observed, Failed, Failed], true),
            (3, &[Failed, Observed, Failed], false),
            (
                3,
                &[Failed, Failed, Succeeded, Failed, Failed, Failed],
                false,
            ),
            (3, &[Succeeded, Failed, Failed, Failed], false),
            (1, &[Failed], true),
            (0, &[Failed, Failed, Failed, Failed], false),
        ] {
            let mut brake = Brake::new(max_failures);
            for (number, outcome) in outcomes.iter().enumerate() {
                assert!(brake.stops().is_none(), "{outcomes:?} {number}");
                brake.ended(&format!("app{number}"), "1.0", *outcome);
            }
            assert_eq!(brake.stops().is_some(), stops, "{outcomes:?}");
        }
    }

    #[test]
    fn what_failed_last_comes_last() {
        let mut records: BTreeMap<String, AppRecord> = BTreeMap::new();
        for (app, version, ended_at) in [
            ("a", "1", 30),
            ("b", "1", 20),
            ("c", "0.9", 40),
            ("e", "1", 10),
        ] {
            let trouble = Trouble {
                state: State::Failed,
                attempts: 1,
                abandoned: 0,
                is_forgiven: true,
                ended_at,
                message: String::new(),
            };
            let record = records.entry(app.to_owned()).or_default();
            record.troubled.insert(version.to_owned(), trouble);
        }
        let step = |(app, action): &(&str, Action)| Step {
            app: (*app).to_owned(),
            deployed: None,
            newest: Some("1".to_owned()),
            action: *action,
            reason: String::new(),
            attempt: None,
            failing: false,
        };
        let steps = [
            ("a", Action::Retry),
            ("b", Action::Retry),
            ("c", Action::Upgrade),
            ("d", Action::New),
            ("e", Action::Waiting),
        ];
        let steps: Vec<Step> = steps.iter().map(step).collect();
        let turn = in_turn(&steps, &records);
        let turn: Vec<&str> = turn.iter().map(|step| step.app.as_str()).collect();
        assert_eq!(turn, ["c", "d", "b", "a"]);
    }
}
