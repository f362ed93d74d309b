//! The order of a notification's members.

use std::cmp::Ordering;

use super::Labels;

/// Alertmanager's order: by job, by instance, then by labels. Who lacks a job or an instance comes last.
#[must_use]
pub fn order(a: &Labels, b: &Labels) -> Ordering {
    let lacking_last = |name: &str| {
        let (a, b) = (a.get(name), b.get(name));
        a.is_empty().cmp(&b.is_empty()).then_with(|| a.cmp(b))
    };
    lacking_last("job").then_with(|| lacking_last("instance")).then_with(|| before(a, b))
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
