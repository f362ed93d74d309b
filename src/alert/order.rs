//! The order of a notification's members.

use std::cmp::Ordering;

use super::Labels;

/// What [`order`] compares, looked up once for a whole sort.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    job: &'a str,
    instance: &'a str,
    labels: &'a Labels,
}

/// Alertmanager's order: by job, by instance, then by labels. Who lacks a job or an instance comes last.
#[must_use]
pub fn order(a: &Labels, b: &Labels) -> Ordering {
    Place::of(a).cmp(&Place::of(b))
}

/// Fewer labels come first; then the first name decides that only one of them has (who lacks it comes first)
/// or whose values differ.
fn before(a: &Labels, b: &Labels) -> Ordering {
    let by_labels = || {
        for ((a_name, a_value), (b_name, b_value)) in a.iter().zip(b.iter()) {
            // The smaller name is the one that the other one lacks.
            let order = b_name.cmp(a_name).then_with(|| a_value.cmp(b_value));
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    };
    a.len().cmp(&b.len()).then_with(by_labels)
}

// === impl Place ===

impl<'a> Place<'a> {
    pub(super) fn of(labels: &'a Labels) -> Self {
        Self { job: labels.get("job"), instance: labels.get("instance"), labels }
    }
}

impl Ord for Place<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let lacking_last =
            |a: &str, b: &str| a.is_empty().cmp(&b.is_empty()).then_with(|| a.cmp(b));
        lacking_last(self.job, other.job)
            .then_with(|| lacking_last(self.instance, other.instance))
            .then_with(|| before(self.labels, other.labels))
    }
}

impl PartialOrd for Place<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    #[test]
    fn members_stand_in_the_order_of_alertmanager() {
        let sorted = [
            labels(&[("job", "a"), ("instance", "1"), ("z", "9"), ("zz", "9")]),
            labels(&[("job", "a"), ("instance", "2")]),
            labels(&[("job", "a")]),
            labels(&[("job", "b")]),
            labels(&[("instance", "1"), ("a", "b")]),
            labels(&[("x", "1")]),
            labels(&[("a", "1"), ("c", "1")]),
            labels(&[("a", "1"), ("b", "1")]),
            labels(&[("a", "1"), ("b", "2")]),
        ];
        for (at, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                assert_eq!(order(a, b), at.cmp(&other), "{a:?} {b:?}");
            }
        }
    }
}
