//! Names and the numbers that stand for them in other records.

use std::collections::HashMap;

use super::records::Name;

/// Both ways between names and numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    by_number: HashMap<u32, Name>,
    numbers: HashMap<Name, u32>,
    next: u32,
}

// === impl Names ===

impl Names {
    /// Gives the number to nobody: something on disk refers to it.
    pub(super) fn reserve(&mut self, number: u32) {
        self.next = self.next.max(number.saturating_add(1));
    }

    pub(super) fn insert(&mut self, number: u32, name: Name) {
        self.reserve(number);
        self.numbers.insert(name.clone(), number);
        self.by_number.insert(number, name);
    }

    pub(super) fn name(&self, number: u32) -> Option<&Name> {
        self.by_number.get(&number)
    }

    pub(super) fn number(&self, name: &Name) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The number of a name, and whether it is a new one.
    pub(super) fn intern(&mut self, name: Name) -> (u32, bool) {
        if let Some(number) = self.number(&name) {
            return (number, false);
        }
        let number = self.next;
        self.insert(number, name);
        (number, true)
    }

    /// Forgets the names whose number is not wanted; returns their numbers.
    pub(super) fn retain(&mut self, wanted: impl Fn(u32) -> bool) -> Vec<u32> {
        let gone: Vec<_> =
            self.by_number.keys().copied().filter(|number| !wanted(*number)).collect();
        for number in &gone {
            if let Some(name) = self.by_number.remove(number) {
                self.numbers.remove(&name);
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &str) -> Name {
        Name::Route(name.parse().unwrap())
    }

    #[test]
    fn a_name_keeps_its_number() {
        let mut names = Names::default();
        names.insert(4, route("a/b"));
        assert_eq!(names.intern(route("a/b")), (4, false));
        assert_eq!(names.intern(route("a/c")), (5, true));
        assert_eq!(names.intern(route("a/c")), (5, false));
        assert_eq!(names.name(5), Some(&route("a/c")));
    }

    #[test]
    fn reserved_number_is_given_to_nobody() {
        let mut names = Names::default();
        names.reserve(7);
        assert_eq!(names.intern(route("a/b")), (8, true));
        assert_eq!(names.name(7), None);
    }

    #[test]
    fn names_that_nobody_wants_are_forgotten() {
        let mut names = Names::default();
        names.insert(1, route("a/b"));
        names.insert(2, route("a/c"));
        assert_eq!(names.retain(|number| number == 2), [1]);
        assert_eq!((names.name(1), names.number(&route("a/b"))), (None, None));
        assert_eq!(names.number(&route("a/c")), Some(2));
    }
}
