//! Which routes want this alert? Matchers, compiled routes, the route index.
//!
//! Pure and synchronous. Read [`Route`] first, then [`RouteTable::resolve`].

mod class;
mod grouping;
mod hours;
mod inhibit;
mod matcher;
mod parse_classic;
mod parse_utf8;
mod pattern;
mod regex;
mod route;
mod shadow;
mod table;

pub use grouping::{GroupBy, Grouping};
pub use hours::{Hours, HoursError};
pub use inhibit::InhibitRule;
pub use matcher::{Matcher, MatcherError, Matchers};
pub use regex::PatternError;
pub use route::{Fallback, Rejection, Route, RouteSettings, TargetName};
pub use table::RouteTable;
