//! A damaged branch page that no start reads and a commit runs into: redb answers with an error, a panic, or two
//! panics at once. Whatever it was, the real program ends with an error and its next start knows and serves. Then
//! files at which a start itself meets two panics, or over which starts ended.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use fanfare::store::{self, Op, Store as _};
use serde_json::json;

use super::checked::panics_twice;
use super::damage::{spoil, written};
use super::load::Load;
use super::machine::settings;
use super::model::read_dead_letters;
use crate::support::{
    http::{get, post, try_send},
    operator::{Launch, Operator},
    sink::{Answer, Sink},
};

const FILE: &str = "fanfare.redb";
const SUSPECT: &str = "fanfare.redb.suspect";
const PAGE: usize = 4096;
/// First byte of a branch page.
const BRANCH: u8 = 2;
/// Dead letters in the file.
const LETTERS: usize = 150;
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
    let letters: Vec<Op> = (0..LETTERS).map(|_| load.dead_letter()).collect();
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

/// The files that were moved aside.
fn moved_aside(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_string_lossy().contains("redb.damaged-")).collect()
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

/// Lets the program write dead letters until it ends; says which alerts it accepted, and how it ended. `None`: it
/// went on.
async fn run_into(operator: &mut Operator) -> (Vec<String>, Option<std::process::ExitStatus>) {
    let url = operator.intake_url("/api/v2/alerts");
    let headers = [("content-type", "application/json")];
    let mut accepted = Vec::new();
    for number in 0..20 {
        let name = format!("Rejected{number}");
        let body = firing(&name).to_string();
        let asked = try_send(http::Method::POST, &url, &headers, body.into());
        // An answer or none, but no silence.
        let answer = tokio::time::timeout(SOON, asked).await.expect("every request is answered");
        if answer.is_ok_and(|answer| answer.status == 200) {
            accepted.push(name);
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        if operator.has_ended().is_some() {
            break;
        }
    }
    let failed = operator.log_text().contains("The store failed");
    let status = if failed { Some(operator.wait_exit().await) } else { operator.has_ended() };
    (accepted, status)
}

/// Everything that was there and all that was accepted.
fn holds(dir: &Path, accepted: &[String], what: &str) {
    let (store, loaded) = store::open(dir, settings()).unwrap();
    assert_eq!(loaded.damaged, None, "{what}");
    let alerts = format!("{:?}", loaded.alerts);
    let lost = accepted.iter().find(|name| !alerts.contains(&format!("{name:?}")));
    assert_eq!(lost, None, "{what}: accepted, and not in the file");
    let letters = read_dead_letters(&store).unwrap().len();
    assert!(letters >= LETTERS, "{what}: {letters} dead letters");
}

/// Who meets the damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    /// The start: it moves the file aside and serves.
    AtStart,
    /// A commit: the program ends with an error, and the next start reads every page. redb never goes back to an
    /// earlier commit on its own, so it moves the file aside.
    ByCommit,
    /// The same, but what the last commit made of the file is whole in every page: the file is kept, and nothing
    /// that was there or was accepted is missing.
    ByCommitThatLeftNone,
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
    let changes: [(&str, Met, Change); 6] = [
        ("another kind of page", Met::AtStart, Box::new(flip(0, 7))),
        ("a leaf instead of a branch", Met::ByCommit, Box::new(|page, _| page[0] = 1)),
        ("a child beyond the end", Met::AtStart, Box::new(child(2, 2))),
        ("a larger child", Met::AtStart, Box::new(child(7, 5))),
        ("another child", Met::ByCommitThatLeftNone, Box::new(child(0, 0))),
        ("itself", Met::AtStart, Box::new(itself)),
    ];
    for (what, met, change) in changes {
        let data = tempfile::tempdir().unwrap();
        let mut damaged = image.clone();
        damage(&mut damaged, change);
        fs::write(data.path().join(FILE), &damaged).unwrap();
        let launch = || Launch::on_data(manifests.path(), Some(data.path()));
        let mut operator = launch().start_ready().await;
        let found = moved_aside(data.path()).len();
        assert_eq!(found, usize::from(met == Met::AtStart), "{what}: found at the start");
        let (accepted, status) = run_into(&mut operator).await;
        assert_eq!(status.is_some(), met != Met::AtStart, "{what}: {status:?}");
        if let Some(status) = status {
            assert!(status.code().is_some_and(|code| code != 0), "{what}: {status}");
            assert!(data.path().join(SUSPECT).exists(), "{what}: the next start must know");
        } else {
            assert!(operator.terminate().await.success(), "{what}");
        }
        let mut second = launch().start_ready().await;
        assert!(!data.path().join(SUSPECT).exists(), "{what}: it was looked at");
        let moved = moved_aside(data.path()).len() - found;
        assert_eq!(moved, usize::from(met == Met::ByCommit), "{what}: moved aside");
        assert_eq!(run_into(&mut second).await.1, None, "{what}: the second start meets it too");
        let served = post(&second.intake_url("/api/v2/alerts"), &firing("After")).await;
        assert_eq!(served.status, 200, "{what}");
        assert!(second.terminate().await.success(), "{what}");
        if met == Met::ByCommitThatLeftNone {
            holds(data.path(), &accepted, what);
        }
    }
}

/// It serves, and says what became of the file in log, metric and readiness.
async fn serves_and_names(operator: &mut Operator, data: &Path, image: &[u8]) {
    let moved = moved_aside(data);
    let [aside] = &moved[..] else { panic!("{moved:?}") };
    assert_eq!(fs::metadata(aside).unwrap().len(), image.len() as u64, "nothing is deleted");
    let name = aside.file_name().unwrap().to_str().unwrap();
    let log = operator.log_text();
    assert!(log.contains("moved aside") && log.contains(name), "{log}");
    let metrics = get(&operator.admin_url("/metrics")).await.text();
    assert!(metrics.contains("fanfare_store_damaged 1\n"), "{metrics}");
    let ready = get(&operator.admin_url("/readyz")).await;
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains(name), "{}", ready.text());
    let served = post(&operator.intake_url("/api/v2/alerts"), &firing("After")).await;
    assert_eq!(served.status, 200);
    assert!(operator.terminate().await.success());
}

/// Control: on a thread that unwinds at the second panic, the process is aborted, and so is every other that is
/// started on the file.
#[tokio::test]
async fn file_at_which_redb_panics_twice_is_moved_aside_and_the_program_serves() {
    let sink = Sink::start().await;
    let (manifests, data) = (manifests(&sink), tempfile::tempdir().unwrap());
    let (image, _) = tokio::task::spawn_blocking(panics_twice).await.unwrap();
    fs::write(data.path().join(FILE), &image).unwrap();
    let mut operator = Launch::on_data(manifests.path(), Some(data.path())).start_ready().await;
    serves_and_names(&mut operator, data.path(), &image).await;
}

/// A damage that no start meets, and marks as those starts leave them that did not come to an end. Control: a
/// start that does not look at them keeps the file.
#[tokio::test]
async fn file_over_which_two_starts_ended_is_read_whole_before_it_is_trusted() {
    let sink = Sink::start().await;
    let (manifests, data) = (manifests(&sink), tempfile::tempdir().unwrap());
    let mut file = tokio::task::spawn_blocking(|| written(3)).await.unwrap();
    let letter = file.picture.dead.keys().next().expect("it has dead letters");
    spoil(&mut file.image, &format!("group of alert {:0>5}", &letter[1..]));
    let opening = data.path().join("fanfare.redb.opening");
    for unfinished in [".", ".."] {
        fs::write(data.path().join(FILE), &file.image).unwrap();
        fs::write(&opening, unfinished).unwrap();
        let mut operator = Launch::on_data(manifests.path(), Some(data.path())).start_ready().await;
        assert!(!opening.exists(), "it came to an end");
        if unfinished == ".." {
            serves_and_names(&mut operator, data.path(), &file.image).await;
        } else {
            assert_eq!(moved_aside(data.path()), Vec::<PathBuf>::new());
            assert!(operator.terminate().await.success());
        }
    }
}
