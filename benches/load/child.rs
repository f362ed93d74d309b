//! A part of a benchmark in a process of its own: this executable again, with a hidden first argument.
//!
//! Each line on its standard input is an order in JSON, each line on its standard output the answer to one.
//! It ends with its input.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::Value;

/// A child that takes orders.
pub(crate) struct Child {
    role: &'static str,
    process: Process,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

// === impl Child ===

impl Child {
    pub(crate) fn start(role: &'static str) -> Self {
        let own = std::env::current_exe().expect("it runs from a file");
        let mut process = Command::new(own)
            .arg(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this executable can be run again");
        let orders = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("stdout is piped"));
        Self { role, process, orders, answers }
    }

    /// Gives an order and waits for its answer.
    pub(crate) fn ask(&mut self, order: &Value) -> Value {
        self.tell(order);
        self.answer()
    }

    /// Gives an order; its answer is fetched later by `answer`.
    pub(crate) fn tell(&mut self, order: &Value) {
        let orders = self.orders.as_mut().expect("orders end with the child");
        writeln!(orders, "{order}").unwrap_or_else(|error| panic!("{}: {error}", self.role));
    }

    pub(crate) fn answer(&mut self) -> Value {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        assert!(read.is_ok_and(|read| read > 0), "the {} process ended early", self.role);
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.role))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The child's side: answers each order until there are no more.
pub(crate) fn serve(mut obey: impl FnMut(Value) -> Value) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let order = serde_json::from_str(&line).expect("orders are JSON");
        println!("{}", obey(order));
    }
}
