//! Groups of comparable runs: those with the same task and data.

use crate::runs::Run;

/// The runs of each task and data set, in the given order.
pub(super) fn groups(runs: &[Run]) -> Vec<Vec<Run>> {
    let mut groups: Vec<Vec<Run>> = Vec::new();
    for run in runs {
        let belongs = |group: &&mut Vec<Run>| is_like(run, &group[0]);
        match groups.iter_mut().find(belongs) {
            Some(group) => group.push(run.clone()),
            None => groups.push(vec![run.clone()]),
        }
    }
    groups
}

fn is_like(run: &Run, other: &Run) -> bool {
    let (run, other) = (&run.record, &other.record);
    run.config.task == other.config.task && run.data.is_same_as(&other.data)
}
