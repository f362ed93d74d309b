//! A damaged branch page that no start reads and a commit runs into: redb answers with an error, a panic, or two
//! panics at once, which abort the process. Whatever it was, the real program's next start knows and serves.

use std::{fs, path::Path, time::Duration};

use fanfare::store::{self, Op, Store as _};
use serde_json::json;

use super::load::Load;
use super::machine::settings;
use crate::support::{
    http::{post, try_send},
    operator::{Launch, Operator},
    sink::{Answer, Sink},
};

const FILE: &str = "fanfare.redb";
const SUSPECT: &str = "fanfare.redb.suspect";
const PAGE: usize = 4096;
/// First byte of a branch page.
const BRANCH: u8 = 2;
/// Longest wait for the program to meet the damage, or to end.
const SOON: Duration = Duration::from_secs(20);

/// Changes a branch page.
type Change = Box<dyn Fn(&mut [u8], Branch)>;

/// A branch page: how many keys it has, and its number, by which others point to it.
#[derive(Clone, Copy)]
struct Branch {
    keys: usize,
    number: u64,
}

/// A file with so many dead letters that their tree has branches.
async fn write(dir: &Path) {
    let mut load = Load::new(1);
    let (store, _) = store::open(dir, settings()).unwrap();
    let letters: Vec<Op> = (0..150).map(|_| load.dead_letter()).collect();
    for letter in letters {
        store.durable(store.submit(vec![letter], false)).await.unwrap();
    }
    store.close();
}

/// How many keys a branch page of dead letters has; nothing for other pages.
fn keys(page: &[u8]) -> Option<usize> {
    let keys = usize::from(u16::from_le_bytes([page[2], page[3]]));
    (page[0] == BRANCH && page[1] == 0 && (2..150).contains(&keys)).then_some(keys)
}

/// Changes every branch page of the image, in use or not.
fn damage(image: &mut [u8], change: impl Fn(&mut [u8], Branch)) {
    let mut hit = 0;
    // The first page is the file's header; so many follow that have no number.
    let before = u64::from(u32::from_le_bytes(image[16..20].try_into().unwrap()));
    for (number, page) in (0..).zip(image.chunks_mut(PAGE).skip(1)) {
        if let Some(keys) = keys(page)
            && number >= before
        {
            change(page, Branch { keys, number: number - before });
            hit += 1;
        }
    }
    assert!(hit > 0, "the file has no branches");
}

/// Where the number of the last child stands, to which new dead letters go.
fn last_child(keys: usize) -> usize {
    8 + 16 * (keys + 1) + 8 * keys
}

/// How many files were moved aside.
fn moved_aside(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().contains("damaged-")).count()
}

fn manifests(sink: &Sink) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata: {{name: hook}}\nspec:\n  \
         type: Webhook\n  webhook: {{url: \"{}\"}}\n  healthCheck: {{type: None}}\n  \
         circuitBreaker: {{consecutiveFailures: 1000, minimumNumberOfCalls: 10000}}\n\
         ---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {{name: all}}\nspec:\n  \
         scope: Cluster\n  targets: [{{name: hook}}]\n  whenUnhealthy: Send\n",
        sink.url("/")
    );
    fs::write(dir.path().join("all.yaml"), text).unwrap();
    dir
}

fn firing(name: &str) -> serde_json::Value {
    json!([{"labels": {"alertname": name}, "startsAt": "2026-03-01T10:15:00.000Z"}])
}

/// Lets the program write dead letters until it ends; says how. `None`: it went on.
async fn run_into(operator: &mut Operator) -> Option<std::process::ExitStatus> {
    let url = operator.intake_url("/api/v2/alerts");
    let headers = [("content-type", "application/json")];
    for number in 0..20 {
        let body = firing(&format!("Rejected{number}")).to_string();
        let asked = try_send(http::Method::POST, &url, &headers, body.into());
        // An answer or none, but no silence.
        let _ = tokio::time::timeout(SOON, asked).await.expect("every request is answered");
        tokio::time::sleep(Duration::from_millis(30)).await;
        if operator.has_ended().is_some() {
            break;
        }
    }
    let failed = operator.log_text().contains("The store failed");
    if failed { Some(operator.wait_exit().await) } else { operator.has_ended() }
}

/// Control: without the mark that the panic hook makes, or with one that no start looks at, the second start
/// trusts the file and runs into the same page.
#[tokio::test]
async fn damaged_branch_ends_the_program_and_the_next_start_serves() {
    let sink = Sink::start().await;
    sink.answer(Answer::status(400));
    let manifests = manifests(&sink);
    let whole = tempfile::tempdir().unwrap();
    write(whole.path()).await;
    let image = fs::read(whole.path().join(FILE)).unwrap();
    let flip = |at: usize, bit: u8| move |page: &mut [u8], _: Branch| page[at] ^= 1 << bit;
    let child = |byte: usize, bit: u8| {
        move |page: &mut [u8], Branch { keys, .. }: Branch| {
            page[last_child(keys) + byte] ^= 1 << bit;
        }
    };
    let itself = |page: &mut [u8], Branch { keys, number }: Branch| {
        let at = last_child(keys);
        page[at..at + 8].copy_from_slice(&number.to_le_bytes());
    };
    let changes: [(&str, Change); 6] = [
        ("another kind of page", Box::new(flip(0, 7))),
        ("a leaf instead of a branch", Box::new(|page, _| page[0] = 1)),
        ("a child beyond the end", Box::new(child(2, 2))),
        ("a larger child", Box::new(child(7, 5))),
        ("another child", Box::new(child(0, 0))),
        ("itself", Box::new(itself)),
    ];
    let (mut at_start, mut ended, mut later) = (0, 0, 0);
    for (what, change) in changes {
        let data = tempfile::tempdir().unwrap();
        let mut damaged = image.clone();
        damage(&mut damaged, change);
        fs::write(data.path().join(FILE), &damaged).unwrap();
        let launch = || Launch::on_data(manifests.path(), Some(data.path()));
        let mut operator = launch().start_ready().await;
        let found = moved_aside(data.path());
        at_start += found;
        let status = run_into(&mut operator).await;
        eprintln!("{what}: found at the start: {found}, then {status:?}");
        if let Some(status) = status {
            assert!(!status.success(), "{what}: {status}");
            assert!(data.path().join(SUSPECT).exists(), "{what}: the next start must know");
            ended += 1;
        } else {
            assert!(operator.terminate().await.success(), "{what}");
        }
        let mut second = launch().start_ready().await;
        assert!(!data.path().join(SUSPECT).exists(), "{what}: it was looked at");
        let moved = moved_aside(data.path()) - found;
        // Where the commit before is whole, redb goes back to it and the file stays.
        assert!(moved <= usize::from(status.is_some()), "{what}: moved aside without need");
        later += moved;
        assert_eq!(run_into(&mut second).await, None, "{what}: the second start meets it too");
        let served = post(&second.intake_url("/api/v2/alerts"), &firing("After")).await;
        assert_eq!(served.status, 200, "{what}");
        assert!(second.terminate().await.success(), "{what}");
    }
    eprintln!("{at_start} found by the start, {ended} by a commit");
    assert!(at_start > 0 && ended > 0, "{at_start} and {ended} damages were met");
    assert!(later > 0, "no second start had to move the file aside");
}
